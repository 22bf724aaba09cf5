"""The digest knows what a module does beyond what `str` and its weights say of it."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import sfumato as sf
from sfumato.obfuscation.fingerprint import fingerprint


class Own(nn.Module):
    """Holds one thing."""

    def __init__(self, thing: Any) -> None:
        super().__init__()
        self._thing = thing

    def forward(self, x: Tensor) -> Tensor:
        return x


class Other(Own):
    """The same under another name."""

    def _get_name(self) -> str:
        return "Own"


class Buffered(nn.Module):
    """Holds a number that no state dict has."""

    def __init__(self, thing: Any) -> None:
        super().__init__()
        self.register_buffer("values", torch.tensor(thing), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x


@dataclass
class Setting:
    value: float


@dataclass(frozen=True)
class Gaussian(sf.noise.Gaussian):  # type: ignore[misc]
    """A law of the name of sfumato's."""


class Thing:
    """An object whose `repr` is an address."""

    def __init__(self, value: float) -> None:
        self.value = value


PAIRS: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "numbers": (lambda: 1.0, lambda: 2.0),
    "kinds of numbers": (lambda: 1, lambda: True),
    "words": (lambda: "a", lambda: "b"),
    "tensors": (lambda: torch.tensor([1.0]), lambda: torch.tensor([2.0])),
    "shapes": (lambda: torch.zeros(2, 3), lambda: torch.zeros(3, 2)),
    "arrays": (lambda: np.arange(3), lambda: np.arange(3)[::-1]),
    "lists": (lambda: [1, [2, 3]], lambda: [1, [2, 4]]),
    "sets": (lambda: {"a", "b"}, lambda: {"a", "c"}),
    "tables": (lambda: {"a": 1}, lambda: {"a": 2}),
    "settings": (lambda: Setting(1.0), lambda: Setting(2.0)),
    "objects": (lambda: Thing(1.0), lambda: Thing(2.0)),
    "torch's functions": (lambda: torch.tanh, lambda: torch.relu),
    "part of a function": (
        lambda: functools.partial(torch.clamp, min=0),
        lambda: functools.partial(torch.clamp, min=1),
    ),
    "hidden modules": (lambda: [nn.Softplus(1)], lambda: [nn.Softplus(2)]),
    "hidden weights": (lambda: [weighted(1.0)], lambda: [weighted(2.0)]),
}


def weighted(value: float) -> nn.Linear:
    linear = nn.Linear(1, 1)
    nn.init.constant_(linear.weight, value)
    nn.init.zeros_(linear.bias)
    return linear


def with_pre(pre: nn.Module) -> sf.Obfuscator:
    return sf.Obfuscator(sf.obfuscation.isotropic((4,), 1.0).layer, pre=pre)


PLACES: dict[str, Callable[[nn.Module], sf.Obfuscator]] = {
    "pre": with_pre,
    "inside pre": lambda own: with_pre(nn.Sequential(nn.Identity(), own)),
    "selection": lambda own: sf.Obfuscator(sf.nn.ConditionalAdditiveNoise(2, (4,)), own),
    "parameter network": lambda own: sf.Obfuscator(
        sf.nn.Stochastic(nn.Sequential(weighted(1.0), own))
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_attributes_tell_modules_apart(name: str) -> None:
    one, other = PAIRS[name]
    assert str(Own(one())) == str(Own(other()))
    digests = [with_pre(Own(make())).digest() for make in (one, one, other)]
    assert digests[0] == digests[1] != digests[2]
    assert not fingerprint(with_pre(Own(one()))).unclear


@pytest.mark.parametrize("name", PLACES)
def test_wherever_the_module_stands(name: str) -> None:
    made = PLACES[name]
    assert made(Own(1.0)).digest() == made(Own(1.0)).digest() != made(Own(2.0)).digest()
    assert made(Own(1.0)).digest() != made(Other(1.0)).digest()
    assert made(Buffered(1.0)).digest() != made(Buffered(2.0)).digest()
    assert not fingerprint(made(Own(1.0))).unclear
    assert len(fingerprint(made(Own(lambda: 1))).unclear) == 1


def test_a_law_of_ones_own_is_not_taken_for_sfumatos() -> None:
    laws = sf.noise.Gaussian(), Gaussian()
    assert len({sf.Obfuscator(sf.nn.AdditiveNoise((4,), law)).digest() for law in laws}) == 2


def test_a_loop_has_an_end() -> None:
    around: list[Any] = [1]
    around.append(around)
    assert with_pre(Own(around)).digest() == with_pre(Own(around)).digest()


@pytest.mark.parametrize(
    "pre",
    [nn.LSTM(4, 4, batch_first=True), nn.LayerNorm(4), nn.TransformerEncoderLayer(4, 2, 8)],
    ids=lambda module: type(module).__name__,
)
def test_torchs_own_modules_are_clear(pre: nn.Module) -> None:
    if isinstance(pre, nn.TransformerEncoderLayer):
        pre = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    made = with_pre(pre)
    assert fingerprint(made).lines and not fingerprint(made).unclear


def test_of_sfumatos_own_parts_there_is_nothing_to_say() -> None:
    layer = sf.nn.ConditionalConv2d(3, 1, 1, 3, padding=1)
    pre = nn.Sequential(nn.Conv2d(1, 1, 1), sf.nn.ClipNorm(1.0))
    assert fingerprint(sf.Obfuscator(layer, sf.nn.SoftSelection(3), pre)).lines == []


def test_modes_and_calls_leave_no_trace() -> None:
    made = with_pre(nn.Sequential(nn.Linear(4, 4), Own(1.0)))
    digest = made.digest()
    made.eval()
    with sf.sampling(made, "sample", source="os"), sf.record(made):
        made(torch.rand(2, 4))
        assert made.digest() == digest
    assert made.digest() == digest


SCRIPT = """
from tests.obfuscation.test_fingerprint import PAIRS, Own, with_pre
print(*(with_pre(Own(one())).digest() for one, _ in PAIRS.values()))
"""


def test_in_another_process_they_are_the_same() -> None:
    """Neither addresses nor the order of sets, which differs between processes, have a part."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert done.stdout.split() == [with_pre(Own(one())).digest() for one, _ in PAIRS.values()]
