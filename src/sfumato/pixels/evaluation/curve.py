"""The budget curve: figures against pixels per picture, cell by cell on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any, final

from sfumato.errors import SettingError, StoreError
from sfumato.files import prepare_folder, read_json, write_json
from sfumato.pixels.evaluation.contender import Contender, contest
from sfumato.pixels.scenes import Scenes
from sfumato.pixels.training import PixelRecipe
from sfumato.train import Cell, Progress, run_cells, silent
from sfumato.train.identity import tag_of

_HEAD = "comparison.json"


@final
@dataclass(frozen=True)
class Curve:
    """What a comparison found.

    Args:
        cells: by name, what `contest` returned.
        higher_is_better: of the headline figure.
    """

    cells: Mapping[str, Mapping[str, Any]]
    higher_is_better: bool

    def scores(self, contender: str, k: int) -> list[float]:
        """The headline figures of all seeds."""
        evaluations = [
            cell["evaluation"]
            for cell in self.cells.values()
            if cell["contender"] == contender and cell["k"] == k
        ]
        return [each["figures"][each["headline"]] for each in evaluations]

    def gain(self, contender: str, over: str, k: int) -> float:
        """By how much a contender is better than another one, in the mean over seeds.

        Above 0 is better, also where less is better.

        Raises:
            SettingError: one of them is not in the comparison at this budget.
        """
        one, two = self.scores(contender, k), self.scores(over, k)
        if not one or not two:
            known = sorted({f"{cell['contender']} at {cell['k']}" for cell in self.cells.values()})
            missing = over if one else contender
            raise SettingError(f"there is no {missing} at {k} pixels: there are {', '.join(known)}")
        gain = mean(one) - mean(two)
        return gain if self.higher_is_better else -gain

    def headroom(self, contender: str, over: str, oracle: str, k: int) -> float:
        """The share of the gap between `over` and the oracle that a contender closes.

        0 is as good as `over`, 1 as good as the oracle; NaN where the oracle is no better.
        """
        gap = self.gain(oracle, over, k)
        return self.gain(contender, over, k) / gap if gap > 0 else float("nan")

    def alarms(self) -> list[str]:
        """Contenders that did better than an oracle: either it is weak, or they saw labels."""
        names = {str(c["contender"]): bool(c["oracle"]) for c in self.cells.values()}
        oracles = [name for name, oracle in names.items() if oracle]
        budgets = sorted({int(c["k"]) for c in self.cells.values() if c["k"] is not None})
        return [
            f"{name} is better than the label-seeing {oracle} at {k} pixels: look for a leak"
            for name in names
            for oracle in oracles
            for k in budgets
            if not names[name]
            and self.scores(name, k)
            and self.scores(oracle, k)
            and self.gain(name, oracle, k) > 0
        ]


def budget_curve(
    contenders: Sequence[Contender],
    scenes: Scenes,
    test: Scenes,
    budgets: Sequence[int],
    folder: str | Path,
    *,
    recipe: PixelRecipe | None = None,
    seeds: Sequence[int] = (0,),
    workers: int = 1,
    progress: Progress = silent,
) -> Curve:
    """Train and score every contender at every budget with every seed.

    Each cell is a small file; what is there is not done again, and a cell that was interrupted
    goes on from its checkpoint.

    Args:
        contenders: each gets a predictor of its own, trained for it.
        scenes: to train on.
        test: to score on.
        budgets: pixels per picture.
        folder: where the cells lie.
        recipe: of every training.
        seeds: of weights, trainings and draws.
        workers: processes at a time.
        progress: called after each block of a training (with one worker), with the cell's name.

    Raises:
        SettingError: no contenders, budgets or seeds, or names that are not unique.
        StoreError: the folder holds another comparison.

    Returns:
        All cells.
    """
    recipe = recipe or PixelRecipe()
    if not contenders or not budgets or not seeds:
        raise SettingError("a comparison needs contenders, budgets and seeds: at least one of each")
    folder = prepare_folder(folder)
    _claim(folder, scenes, test, recipe, contenders)
    cells = [
        Cell(
            f"{contender.name}/k-{k}/seed-{seed}",
            _cell,
            {
                "contender": contender, "scenes": scenes, "test": test, "k": k, "recipe": recipe,
                "seed": seed, "folder": folder,
                "progress": silent if workers > 1 else progress,
            },
        )
        for seed in seeds
        for k in budgets
        for contender in contenders
    ]  # fmt: skip
    found = run_cells(cells, folder, workers=workers)
    return Curve(found, scenes.task.higher_is_better)


def _cell(
    contender: Contender,
    scenes: Scenes,
    test: Scenes,
    k: int,
    recipe: PixelRecipe,
    seed: int,
    folder: Path,
    progress: Progress,
) -> dict[str, Any]:
    name = f"{contender.name}/k-{k}/seed-{seed}"
    checkpoint = prepare_folder(folder / contender.name) / f"k-{k}-seed-{seed}.pt"

    def told(state: dict[str, Any]) -> None:
        progress({"cell": name, **state})

    cell = contest(
        contender, scenes, test, k, recipe=recipe, seed=seed, checkpoint=checkpoint, progress=told
    )
    checkpoint.unlink(missing_ok=True)  # the figures are what is kept
    return cell


def _claim(
    folder: Path,
    scenes: Scenes,
    test: Scenes,
    recipe: PixelRecipe,
    contenders: Sequence[Contender],
) -> None:
    """Note whose folder this is, or see that it is this comparison's; contenders may join."""
    data = [(s.images, s.targets, s.valid, s.task.settings()) for s in (scenes, test)]
    head = {"comparison": tag_of(recipe, *data)}
    path = folder / _HEAD
    before = read_json(path) if path.exists() else {**head, "contenders": {}}
    if before.get("comparison") != head["comparison"]:
        raise StoreError(
            f"{folder} holds a comparison with other scenes or another recipe: use another folder"
        )
    known = dict(before.get("contenders", {}))
    for contender in contenders:
        tag = tag_of(contender)
        if known.setdefault(contender.name, tag) != tag:
            raise StoreError(
                f"{folder} holds cells of another contender called {contender.name!r}: use another "
                "name, or another folder"
            )
    write_json(path, {**head, "contenders": known})
