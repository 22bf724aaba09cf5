"""An obfuscator that nobody has audited says so when it is loaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import sfumato as sf
from sfumato.errors import UnauditedWarning
from sfumato.files import read_json
from tests.privacy.audited import card as audited

CARD = "privacy_card.json"


def signed(folder: Path, digest: str, *, trusted: bool = True, pictures: bool = False) -> Path:
    """A card of the obfuscator of that digest, beside it."""
    return replace(audited(), obfuscator=digest, trusted=trusted).save(folder, pictures=pictures)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return sf.obfuscation.isotropic((1, 4, 4), 1.0).save(tmp_path / "obfuscator")


def test_whoever_loads_what_was_not_audited_is_told(saved: Path) -> None:
    with pytest.warns(UnauditedWarning, match="saved without an audit.*sfumato audit") as caught:
        loaded = sf.Obfuscator.load(saved)
    assert caught[0].filename == __file__
    assert sf.Obfuscator.load(saved, unaudited_ok=True).digest() == loaded.digest()
    for pictures in (False, True):
        signed(saved, loaded.digest(), pictures=pictures)
        sf.Obfuscator.load(saved)  # warnings are errors
    signed(saved, "0")
    with pytest.warns(UnauditedWarning, match="changed after its audit"):
        sf.Obfuscator.load(saved)


def with_leak(content: dict[str, Any]) -> str:
    return json.dumps({**content, "leak": {**content["leak"], "mean": 0.001}})


EDITS: dict[str, Callable[[dict[str, Any]], str]] = {
    "only the digest": lambda content: json.dumps({"obfuscator": content["obfuscator"]}),
    "a smaller leak": with_leak,
    "trusted by hand": lambda content: json.dumps({**content, "trusted": True}),
    "half of it": lambda content: json.dumps(content)[: len(json.dumps(content)) // 2],
    "a list": lambda _: "[]",
    "nothing": lambda _: "",
}


@pytest.mark.parametrize("name", EDITS)
def test_a_card_that_is_not_as_it_was_written_counts_for_nothing(name: str, saved: Path) -> None:
    digest = sf.Obfuscator.load(saved, unaudited_ok=True).digest()
    card = signed(saved, digest, trusted=name != "trusted by hand")
    card.write_text(EDITS[name](read_json(card)), encoding="utf-8")
    with pytest.warns(UnauditedWarning, match="damaged or was changed"):
        sf.Obfuscator.load(saved)


def test_a_card_that_is_not_to_be_trusted(saved: Path) -> None:
    signed(saved, sf.Obfuscator.load(saved, unaudited_ok=True).digest(), trusted=False)
    with pytest.warns(UnauditedWarning, match="not to be trusted"):
        sf.Obfuscator.load(saved)


class Shrunk(nn.Module):
    """Regular layers whose strength is an attribute that `str` does not show."""

    def __init__(self, strength: Any) -> None:
        super().__init__()
        self._strength = strength

    def forward(self, x: Tensor) -> Any:
        return self._strength(x) if callable(self._strength) else self._strength * x


def test_the_card_of_one_does_not_speak_for_another(tmp_path: Path) -> None:
    layer = sf.obfuscation.isotropic((1, 4, 4), 1.0).layer
    weak, strong = (sf.Obfuscator(layer, pre=Shrunk(by)) for by in (0.01, 1.0))
    folder = weak.save(tmp_path / "obfuscator")
    signed(folder, weak.digest())
    sf.Obfuscator.load(folder, pre=weak.pre)  # warnings are errors
    with pytest.warns(UnauditedWarning, match="changed after its audit"):
        sf.Obfuscator.load(folder, pre=strong.pre)


def hooked() -> nn.Module:
    pre = nn.Identity()
    pre.register_forward_hook(lambda _, given, out: given[0])
    return pre


def local() -> nn.Module:
    class Local(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x

    return Local()


@pytest.mark.parametrize(
    "pre",
    [Shrunk(lambda x: 0 * x), Shrunk(torch.Generator()), hooked(), local()],
    ids=["a function", "an object that says nothing", "a hook", "a class of a function"],
)
def test_what_cannot_be_described_is_never_audited(pre: nn.Module, tmp_path: Path) -> None:
    made = sf.Obfuscator(sf.obfuscation.isotropic((1, 4, 4), 1.0).layer, pre=pre)
    folder = made.save(tmp_path / "obfuscator")
    signed(folder, made.digest())
    with pytest.warns(UnauditedWarning, match="cannot tell from something else"):
        sf.Obfuscator.load(folder, pre=pre)
