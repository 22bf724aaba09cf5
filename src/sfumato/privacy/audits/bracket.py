"""What a release tells of its record, in nats: between a lower and an upper bound."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from sfumato.privacy.audits.cell import Task
from sfumato.privacy.audits.plan import AuditPlan
from sfumato.privacy.information import CriticSettings, mutual_information
from sfumato.privacy.statistics import Figure
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
    def words(self) -> str:
        """The bracket in one sentence."""
        above = (
            "with no upper bound" if self.upper is None else f"and at most {self.upper.mean:.1f}"
        )
        return (
            f"One release tells at least {self.lower.mean:.1f} {above} nats of its record beyond "
            f"the label ({self.n} records of {self.d} elements; the lower bound could not have "
            f"been above {self.ceiling:.1f})."
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


def _figure(pairs: Sequence[Sequence[float]]) -> Figure:
    return Figure.of([value for value, _ in pairs], [error for _, error in pairs])
