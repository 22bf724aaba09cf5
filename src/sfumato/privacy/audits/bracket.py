"""What a release tells of its record, in nats: between a lower and an upper bound."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from sfumato.privacy.audits.cell import Task
from sfumato.privacy.audits.plan import AuditPlan
from sfumato.privacy.information import CriticSettings, mutual_information
from sfumato.privacy.statistics import NORMAL, Figure
from sfumato.train.cells import Cell


@final
@dataclass(frozen=True)
class Information:
    """The mutual information of a record and one release, beyond the label, in nats.

    Args:
        lower: the learned lower bound.
        ceiling: the most that it could have been with so few records.
        upper: the upper bound; None where there is none.
        n: records.
        d: elements of a release.
    """

    lower: Figure
    ceiling: float
    upper: Figure | None
    n: int
    d: int

    @property
    def crossed(self) -> bool:
        """Whether the lower bound, less two errors, is above the upper one and two errors."""
        if self.upper is None:
            return False
        return self.lower.mean - 2 * _error(self.lower) > self.upper.mean + 2 * _error(self.upper)

    @property
    def words(self) -> str:
        """The bracket in one sentence: the outer ends of the intervals of both bounds."""
        low, told = max(0.0, self.lower.low), _shown(self.lower)
        about = f"{self.n} records of {self.d} elements"
        if self.upper is None:
            ends, bounds = "with no upper bound", f"lower bound {told}"
        else:
            ends = f"and at most {max(self.upper.high, low):.2f}"
            bounds = f"lower bound {told}, upper bound {_shown(self.upper)}"
        about = (
            f"({bounds}, 95 % intervals; {about}; the lower bound could not have been above "
            f"{self.ceiling:.1f})"
        )
        if self.lower.low <= 0:
            above = ends.removeprefix("and ") if self.upper is not None else ends
            return (
                "What one release tells of its record beyond the label is not told apart from 0 "
                f"nats, {above} {about}."
            )
        return (
            f"One release tells at least {low:.2f} {ends} nats of its record beyond the label "
            f"{about}."
        )


def information_cells(plan: AuditPlan, task: Task) -> list[Cell]:
    """One cell for each seed."""
    critic = CriticSettings(steps=100) if plan.quick else CriticSettings()
    return [
        Cell(
            f"information/seed-{seed}", run_bracket, {"task": task, "critic": critic, "seed": seed}
        )
        for seed in plan.seeds
    ]


def run_bracket(task: Task, critic: CriticSettings, seed: int) -> dict[str, Any]:
    """The bracket under one seed, as JSON values."""
    known, target = task.material.auxiliary, task.material.target
    found = mutual_information(task.mechanism, known, target, critic=critic, seed=seed)
    bounded = math.isfinite(found.upper)
    return {
        "key": task.key,
        "lower": [found.lower, found.lower_error],
        "ceiling": found.lower_ceiling,
        "upper": [found.upper, found.upper_error] if bounded else None,
        "n": found.n,
        "d": found.d,
    }


def information_of(cells: Sequence[dict[str, Any]]) -> Information | None:
    """The figures over the seeds; None where no cell was run."""
    if not cells:
        return None
    uppers = [cell["upper"] for cell in cells if cell["upper"] is not None]
    return Information(
        lower=_figure([cell["lower"] for cell in cells]),
        ceiling=min(cell["ceiling"] for cell in cells),
        upper=_figure(uppers) if len(uppers) == len(cells) else None,
        n=cells[0]["n"],
        d=cells[0]["d"],
    )


def information(content: dict[str, Any] | None) -> Information | None:
    """What `dataclasses.asdict` made of it."""
    if content is None:
        return None
    upper = None if content["upper"] is None else Figure(**content["upper"])
    return Information(**{**content, "lower": Figure(**content["lower"]), "upper": upper})


def _error(figure: Figure) -> float:
    return (figure.high - figure.mean) / NORMAL


def _shown(figure: Figure) -> str:
    mean, low, high = (max(0.0, v) for v in (figure.mean, figure.low, figure.high))
    return f"{mean:.2f} [{low:.2f}, {high:.2f}]"


def _figure(pairs: Sequence[Sequence[float]]) -> Figure:
    return Figure.of([value for value, _ in pairs], [error for _, error in pairs])
