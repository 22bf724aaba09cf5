"""A selector comes back as it was, and a damaged one says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

import sfumato as sf
from sfumato.errors import DataError, SettingError, StoreError
from sfumato.pixels.selectors import (
    Edges,
    GumbelMask,
    Oracle,
    Random,
    Seen,
    Selector,
    Stratified,
    Truth,
    Uncertainty,
    load_selector,
    save_selector,
)


def learned() -> Stratified:
    selector = Stratified(3, (8, 10), values=2, centre=1.5, network={"width": 4})
    with torch.no_grad():
        for weight in selector.parameters():
            weight.add_(torch.randn_like(weight))
    return selector


@pytest.mark.parametrize(
    "make",
    [
        learned,
        lambda: Random(3, (8, 10)),
        lambda: Edges(3, (8, 10), floor=0.3),
        lambda: GumbelMask(3, (8, 10), literal=True, temperature=4.0),
    ],
    ids=["stratified", "random", "edges", "gumbel"],
)
def test_it_comes_back(make: Callable[[], Selector], tmp_path: Path) -> None:
    selector = make()
    again = load_selector(save_selector(selector, tmp_path / "kept"))
    assert type(again) is type(selector)
    assert again.config() == selector.config()
    image, found = torch.rand(2, 3, 8, 10), []
    for each in (selector, again):
        torch.manual_seed(1)
        found.append(each(image, k=7))
    assert torch.equal(*found)


def test_saving_again_leaves_one_file_of_weights(tmp_path: Path) -> None:
    save_selector(learned(), tmp_path)
    save_selector(learned(), tmp_path)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".safetensors"]
    load_selector(tmp_path)


def test_a_predictor_is_given_again(tmp_path: Path) -> None:
    def predictor(image: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        return torch.cat([image, mask], 1)

    selector = Uncertainty(1, (6, 6), values=1, predictor=predictor, measure="margin")
    save_selector(selector, tmp_path)
    with pytest.raises(StoreError, match="predictor"):
        load_selector(tmp_path)
    again = load_selector(tmp_path, predictor=predictor)
    image = torch.rand(1, 1, 6, 6)
    assert torch.equal(selector(image, k=5), again(image, k=5))


class Corner(Selector):
    """The first pixels."""

    def choose(self, seen: Seen, k: int) -> Tensor:
        mask = torch.zeros_like(seen.bought)
        mask.view(len(mask), -1)[:, :k] = 1
        return mask


def test_a_class_of_ones_own(tmp_path: Path) -> None:
    save_selector(Corner(1, (4, 4)), tmp_path)
    with pytest.raises(StoreError, match="kind="):
        load_selector(tmp_path)
    assert isinstance(load_selector(tmp_path, kind=Corner), Corner)


def test_what_cannot_be_saved(tmp_path: Path) -> None:
    truth = Truth(torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4).bool(), lambda made: made)
    with pytest.raises(SettingError, match="oracle"):
        save_selector(Oracle(1, (4, 4), predictor=lambda *_: _[1], truth=truth), tmp_path)
    selector = learned()
    with torch.no_grad():
        next(selector.parameters())[0] = torch.nan
    with pytest.raises(DataError, match="NaN"):
        save_selector(selector, tmp_path)
    assert list(tmp_path.iterdir()) == []


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("damage", [cut, flip, Path.unlink])
@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
def test_a_damaged_file(damage: Callable[[Path], None], suffix: str, tmp_path: Path) -> None:
    save_selector(learned(), tmp_path)
    (path,) = tmp_path.glob(f"*{suffix}")
    damage(path)
    with pytest.raises(StoreError):
        load_selector(tmp_path)


def test_a_changed_setting(tmp_path: Path) -> None:
    save_selector(learned(), tmp_path)
    path = tmp_path / "selector.json"
    settings = json.loads(path.read_text())
    settings["arguments"]["centre"] = 9.0
    path.write_text(json.dumps(settings))
    with pytest.raises(StoreError, match="changed after"):
        load_selector(tmp_path)
    path.write_text("[]")
    with pytest.raises(StoreError, match="schema"):
        load_selector(tmp_path)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        load_selector(tmp_path / "nothing")


def test_the_mode_is_not_saved(tmp_path: Path) -> None:
    selector = learned()
    with sf.sampling(selector, "mean"):
        save_selector(selector, tmp_path)
    assert load_selector(tmp_path).mode == "sample"
