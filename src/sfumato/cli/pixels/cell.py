"""One training of `sfumato pixels`: a selector, a budget or a price, a seed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from sfumato.cli.pixels.contenders import Named
from sfumato.cli.pixels.kept import Kept, keep
from sfumato.files import atomic, prepare_folder, write_json
from sfumato.pixels.evaluation import Contender, contest, predict
from sfumato.pixels.evaluation.evaluate import predicted
from sfumato.pixels.evaluation.headroom import oracle_for
from sfumato.pixels.scenes import Scenes
from sfumato.pixels.selectors import Selector
from sfumato.pixels.training import PixelRecipe
from sfumato.train import Progress

SHOWN = 6
"""Test pictures on the page."""


@final
@dataclass(frozen=True, eq=False)
class PixelJob:
    """What all cells of a run share.

    Attributes:
        out: the run's folder.
        train: to learn from.
        test: to be scored on.
        predictor: the name of its kind.
        rounds: as they were asked for.
        recipe: of every training.
        first: the seed whose pictures are shown.
        kept: whether selectors and predictors stay.
    """

    out: Path
    train: Scenes
    test: Scenes
    predictor: str
    rounds: tuple[float, ...]
    recipe: PixelRecipe
    first: int
    kept: bool


def cell_name(name: str, k: int, weight: float | None, seed: int) -> str:
    """How a cell is called."""
    price = "" if weight is None else f"/weight-{weight:g}"
    return f"{name}/k-{k}{price}/seed-{seed}"


def pixel_cell(job: PixelJob, name: str, k: int, weight: float | None, seed: int) -> dict[str, Any]:
    """Train and score; keep what was trained, and what it makes of a few test pictures."""
    cell = cell_name(name, k, weight, seed)
    named = Named(name, job.predictor, job.rounds)
    made: list[nn.Module] = []

    def selector(scenes: Scenes, predictor: nn.Module) -> Selector:
        chooses = named.make_selector(scenes, predictor)
        made.extend([chooses, predictor])
        return chooses

    plain = named.contender()
    taking_part = Contender(name, selector, named.make_predictor, plain.rounds, plain.oracle)
    found = contest(
        taking_part, job.train, job.test, k, weight=weight, recipe=job.recipe, seed=seed,
        checkpoint=prepare_folder(job.out / "state" / cell) / "training.checkpoint",
        progress=reporter(job.out, cell),
    )  # fmt: skip
    chooses, predictor = made
    assert isinstance(chooses, Selector)
    kept = Kept(name, chooses, predictor, job.test.task, k, weight, plain.rounds, job.predictor)
    if job.kept and not plain.oracle:
        keep(kept, job.out / "networks" / cell)
    if seed == job.first:
        show(kept, job.test, seed, job.out / "shown" / f"{cell}.safetensors", plain.oracle)
    last = found.pop("history")[-1:]
    about = {name: last[0][name] if last else None for name in ("loss", "stage")}
    return {**found, **about}


def show(kept: Kept, test: Scenes, seed: int, path: Path, oracle: bool = False) -> None:
    """Keep what was bought of a few test pictures, and what is predicted of them."""
    few = test.subset(shown_of(len(test)))
    if oracle:
        weigh = test.task.balanced(test.targets, test.valid, PixelRecipe.balance)
        parts = predicted(
            lambda batch: oracle_for(batch, kept.predictor, weigh),
            kept.predictor, few, [kept.k], len(few), seed,
        )  # fmt: skip
        _, mask, made = next(iter(parts))  # one batch holds all of them
    else:
        k = kept.k if kept.weight is None else None
        mask, made = predict(kept.selector, kept.predictor, few, k, rounds=kept.rounds, seed=seed)
    prepare_folder(path.parent)
    tensors = {"mask": mask > 0.5, "prediction": test.task.decode(made).contiguous()}
    with atomic(path) as part:
        save_file(tensors, part)


def shown_of(count: int) -> Tensor:
    """The places of the pictures that are shown: spread over all."""
    many = min(SHOWN, count)
    return torch.arange(many) * count // many


def reporter(out: Path, cell: str) -> Progress:
    """A progress that keeps the latest event in a file, for a display to read."""
    path = prepare_folder(out / "progress") / f"{cell.replace('/', '.')}.json"

    def report(event: dict[str, Any]) -> None:
        least, mean, most = event["pixels"]
        figures = {"loss": event["loss"], "pixels": mean}
        if least != most:
            figures |= {"least": least, "most": most}
        place = {"epoch": event["epoch"], "epochs": event["epochs"], "unit": "step"}
        write_json(path, {"cell": cell, "phase": "training", **place, **figures})

    return report
