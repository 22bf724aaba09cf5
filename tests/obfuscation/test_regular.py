"""Regular layers on disk: those that a file can describe, and no others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import sfumato as sf
from sfumato.errors import StoreError
from tests.obfuscation.test_store import PICTURES, assert_same, edited, load, scrambled


def test_regular_layers_of_another_kind_are_passed_again(tmp_path: Path) -> None:
    pre = nn.Sequential(nn.Conv2d(1, 2, 3), nn.GELU())
    obfuscator = scrambled(sf.Obfuscator(sf.nn.ConditionalConv2d(3, 2, 1, 1), pre=pre))
    folder = obfuscator.save(tmp_path / "out")
    with pytest.raises(StoreError, match=r"pass them as pre=\.\.\., built as \"Sequential\("):
        load(folder)
    again = load(folder, pre=nn.Sequential(nn.Conv2d(1, 2, 3), nn.GELU()))
    assert_same(obfuscator, again, torch.rand(2, *PICTURES), torch.tensor([0, 2]))


REGULAR_FORGERIES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "another module": lambda s: s["pre"].update(type="Bilinear"),
    "a function": lambda s: s["pre"].update(type="describe_regular"),
    "no type": lambda s: s["pre"].pop("type"),
    "a type that is no name": lambda s: s["pre"].update(type=["Conv2d"]),
    "unknown argument": lambda s: s["pre"]["arguments"].update(colour="red"),
    "impossible argument": lambda s: s["pre"]["arguments"].update(groups=5),
    "no arguments": lambda s: s["pre"].pop("arguments"),
    "a list": lambda s: s.update(pre=[s["pre"]]),
    "a number": lambda s: s.update(pre=3),
    "parts that are none": lambda s: s.update(pre={"type": "Sequential", "modules": {"0": 3}}),
    "another place": lambda s: s.update(pre={"type": "Sequential", "modules": {"0": s["pre"]}}),
    "too deep": lambda s: s.update(pre=deep(s["pre"], 20)),
    "secure is no truth": lambda s: s.update(secure="yes"),
}


def deep(entry: dict[str, Any], levels: int) -> dict[str, Any]:
    for _ in range(levels):
        entry = {"type": "Sequential", "modules": {"0": entry}}
    return entry


@pytest.mark.parametrize("name", REGULAR_FORGERIES)
def test_regular_layers_that_cannot_be(name: str, tmp_path: Path) -> None:
    layer = sf.nn.ConditionalConv2d(3, 2, 1, 1)
    folder = sf.Obfuscator(layer, pre=nn.Conv2d(1, 2, 3)).save(tmp_path / "out")
    edited(folder, REGULAR_FORGERIES[name], forged=True)
    with pytest.raises(StoreError) as caught:
        load(folder)
    assert "\n" not in str(caught.value)
