"""The budget curve: resumable cells, gains, headroom, alarms."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from sfumato.errors import SettingError, StoreError
from sfumato.pixels.evaluation import Contender, Curve, budget_curve, contest
from sfumato.pixels.predictors import KernelInterpolation
from sfumato.pixels.scenes import Scenes, digit_scenes
from sfumato.pixels.selectors import Grid as GridSelector
from sfumato.pixels.selectors import GumbelMask, Selector, Stratified
from sfumato.pixels.training import PixelRecipe

RECIPE = PixelRecipe(steps=2, batch_size=4, checkpoint_every=1)


def kernel(scenes: Scenes) -> nn.Module:
    return KernelInterpolation(scenes.channels, scenes.task)


def made(kind: Any, scenes: Scenes, _: nn.Module) -> Selector:
    return kind(scenes.channels, scenes.size)


GRID = Contender("grid", partial(made, GridSelector), kernel)
LEARNED = Contender("stratified", partial(made, Stratified), kernel)
ORACLE = Contender("oracle", partial(made, GridSelector), kernel, oracle=True)


def data() -> tuple[Scenes, Scenes]:
    return digit_scenes("train").subset(slice(0, 16)), digit_scenes("test").subset(slice(0, 12))


def test_cells_are_computed_once_and_resume(tmp_path: Path) -> None:
    train, test = data()
    told: list[str] = []

    def run(*contenders: Contender) -> Curve:
        return budget_curve(
            contenders, train, test, [4, 9], tmp_path, recipe=RECIPE,
            progress=lambda state: told.append(state["cell"]),
        )  # fmt: skip

    first = run(GRID)
    assert len(first.cells) == 2 and set(told) == {"grid/k-4/seed-0", "grid/k-9/seed-0"}
    told.clear()
    both = run(GRID, LEARNED)
    assert {name.split("/")[0] for name in told} == {"stratified"}
    assert both.cells["grid/k-4/seed-0"] == first.cells["grid/k-4/seed-0"]
    assert not list(tmp_path.rglob("*.pt"))


def test_a_folder_of_another_comparison_is_refused(tmp_path: Path) -> None:
    train, test = data()
    budget_curve([GRID], train, test, [4], tmp_path, recipe=RECIPE)
    with pytest.raises(StoreError, match="another folder"):
        budget_curve([GRID], train, test.subset(slice(0, 6)), [4], tmp_path, recipe=RECIPE)
    with pytest.raises(SettingError, match="at least one"):
        budget_curve([], train, test, [4], tmp_path)


def test_the_oracle_is_scored_by_looking(tmp_path: Path) -> None:
    train, test = data()
    curve = budget_curve([GRID, ORACLE], train, test, [8], tmp_path, recipe=RECIPE)
    assert curve.gain("oracle", "grid", 8) > 0 and curve.alarms() == []
    assert curve.headroom("grid", "grid", "oracle", 8) == 0.0
    assert curve.headroom("oracle", "grid", "oracle", 8) == 1.0


def cell(name: str, score: float, oracle: bool = False) -> dict[str, Any]:
    found = {"headline": "miou", "figures": {"miou": score}}
    return {"contender": name, "oracle": oracle, "k": 4, "evaluation": found}


def test_whoever_beats_the_oracle_is_named() -> None:
    cells = {"a": cell("a", 0.6), "b": cell("b", 0.4), "c": cell("all", 0.5, oracle=True)}
    assert [alarm.split()[0] for alarm in Curve(cells, True).alarms()] == ["a"]
    assert [alarm.split()[0] for alarm in Curve(cells, False).alarms()] == ["b"]
    assert Curve(cells, True).gain("a", "b", 4) == pytest.approx(0.2)
    assert Curve(cells, False).gain("a", "b", 4) == pytest.approx(-0.2)


def test_a_price_is_scored_free_and_held_to_a_budget() -> None:
    train, test = data()
    gumbel = Contender("gumbel", partial(made, GumbelMask), kernel)
    found = contest(gumbel, train, test, 5, weight=0.1, recipe=RECIPE)
    assert found["held"]["pixels"] == {"minimum": 5.0, "mean": 5.0, "maximum": 5.0}
    free = found["evaluation"]["pixels"]
    assert 0 <= free["minimum"] <= free["maximum"] <= 64


def test_a_name_is_that_of_one_contender(tmp_path: Path) -> None:
    train, test = data()
    first = budget_curve([GRID], train, test, [4], tmp_path, recipe=RECIPE)
    other = Contender("grid", partial(made, Stratified), kernel)
    with pytest.raises(StoreError, match="another contender called 'grid'"):
        budget_curve([other], train, test, [4], tmp_path, recipe=RECIPE)
    with pytest.raises(SettingError, match="there is no typo at 4 pixels"):
        first.gain("typo", "grid", 4)
    with pytest.raises(SettingError, match="there is no grid at 5 pixels"):
        first.gain("grid", "grid", 5)
