"""A selector and pictures that the tests of rounds use."""

from __future__ import annotations

from pathlib import Path
from typing import final

import torch
from torch import Tensor

from sfumato.pixels.formats import Answer, Legend, Picture
from sfumato.pixels.rounds import Rounds
from sfumato.pixels.selectors.base import Seen, Selector

LEGEND = Legend(("sky", "road"))
METRES = Legend(unit="m")
SIZE = (4, 6)
PICTURES = (Picture("a.png", 4, 6), Picture("b/ü 1.png", 40, 63), Picture("b/ü 1.jpg", 9, 6))
IMAGES = torch.linspace(0, 1, 3 * 3 * 4 * 6).reshape(3, 3, 4, 6)


@final
class Draw(Selector):
    """Any pixels that are left; it notes what it was shown."""

    def __init__(self, channels: int = 3, size: tuple[int, int] = SIZE, *, values: int = 0) -> None:
        super().__init__(channels, size, values=values)
        self.seen: list[Seen] = []

    def choose(self, seen: Seen, k: int) -> Tensor:
        self.seen.append(seen)
        bought = seen.bought
        score = torch.rand_like(bought.flatten(1)) - 9 * bought.flatten(1)
        return torch.zeros_like(score).scatter(1, score.topk(k, 1).indices, 1).view_as(bought)


def begun(folder: Path, legend: Legend = LEGEND) -> Rounds:
    return Rounds.begin(folder / "rounds", PICTURES, SIZE, legend)


def suggested(folder: Path, k: int = 2, legend: Legend = LEGEND) -> Rounds:
    rounds = begun(folder, legend)
    rounds.suggest(Draw(), IMAGES, k)
    return rounds


def answered(rounds: Rounds, label: str | None = "road", number: int | None = None) -> list[Answer]:
    """An answer for every question of a round: a class, or a number that tells the pixel."""
    return [
        Answer(s.picture, s.row, s.column, label)
        if label is not None
        else Answer(s.picture, s.row, s.column, value=s.row + s.column / 100)
        for s in rounds.sheet(number).suggestions
    ]


def files(folder: Path) -> dict[str, bytes]:
    """What the folder holds, its lock left out."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in found if p.suffix != ".lock"}
