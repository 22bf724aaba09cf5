"""What an honest evaluation found, as figures and JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, final

from sfumato.errors import StoreError
from sfumato.files import read_json, write_json
from sfumato.robustness.evaluation.shares import Share

Prediction: TypeAlias = Literal["sampled", "averaged", "mean"]
Verdict: TypeAlias = Literal[
    "gradient masking", "no sign of gradient masking", "too few records to tell"
]
SCHEMA = "sfumato.robustness_report/1"


@final
@dataclass(frozen=True)
class AttackRow:
    """One attack at one ε.

    Args:
        name: of the attack, with its loss.
        kind: "first-order", "transfer" or "black-box".
        target: the prediction that the attack was aimed at.
        accuracy: of its adversarial examples under fresh noise, by prediction; empty if skipped.
        distance: the mean norm of its perturbations.
        budget: steps, restarts, draws, queries: what it may spend on one record.
        seconds: what it took.
        skipped: why it could not run; empty where it ran.
    """

    name: str
    kind: str
    target: Prediction
    accuracy: Mapping[str, Share]
    distance: float
    budget: Mapping[str, Any]
    seconds: float = 0.0
    skipped: str = ""


@final
@dataclass(frozen=True)
class Level:
    """The suite at one ε.

    Args:
        epsilon: the radius.
        worst: by prediction, the accuracy under the worst attack of each record. The attack is
            chosen with some draws, and its example then scored with others.
        strongest: the attack with the lowest accuracy.
        attacks: every attack of the suite.
        records: for each record, the share of fresh draws that stays right under its worst attack.
    """

    epsilon: float
    worst: Mapping[str, Share]
    strongest: str
    attacks: tuple[AttackRow, ...]
    records: tuple[float, ...]


@final
@dataclass(frozen=True)
class RobustnessReport:
    """What `sfumato.robustness.evaluate` returns.

    Args:
        verdict: "gradient masking", "no sign of gradient masking", or "too few records to tell"
            where chance can explain every sign of it on so few records.
        reasons: why, in words; empty where there is no sign of it.
        prediction: the one that the front figure is about.
        norm: "linf" or "l2".
        records: how many were attacked.
        stochastic: whether two calls of the model differ.
        clean: accuracy without an attack, by prediction.
        levels: the suite at each ε, in rising order.
        unbounded: the first-order attacks with a radius that holds every picture: each must
            reach an accuracy of 0 in the worst of them. Empty where no such attack could run.
        zero_gradient: by loss, the share of records whose gradient is exactly zero.
        convergence: accuracy under the margin attack with 1, 4, 16 draws in each step, by number
            of draws; one entry for a deterministic model.
        notes: what a reader must know.
        settings: of the evaluation.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    prediction: Prediction
    norm: str
    records: int
    stochastic: bool
    clean: Mapping[str, Share]
    levels: tuple[Level, ...]
    unbounded: Mapping[str, Share]
    zero_gradient: Mapping[str, float]
    convergence: Mapping[int, Share]
    notes: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def worst(self) -> dict[float, Share]:
        """The front figure: the worst accuracy over the suite, by ε."""
        return {level.epsilon: level.worst[self.prediction] for level in self.levels}

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {"schema": SCHEMA, **_plain(asdict(self))}

    def save(self, path: str | Path) -> None:
        """Write the report as a JSON file.

        Raises:
            OutputError: it cannot be written.
        """
        write_json(path, self.to_json())

    @classmethod
    def load(cls, path: str | Path) -> RobustnessReport:
        """Read a report that `save` wrote.

        Raises:
            StoreError: there is no such file, or it is not a report.
        """
        content = read_json(path)
        if not isinstance(content, dict) or content.pop("schema", None) != SCHEMA:
            raise StoreError(f"{path} is not a robustness report of schema {SCHEMA}")
        try:
            return _report(content)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise StoreError(f"{path} does not say what a report should: {error!r}") from error

    def __str__(self) -> str:
        """A table: a line for each ε and attack, the worst first, and the verdict."""
        lines = [f"clean: {self.clean[self.prediction]} ({self.prediction} prediction)"]
        for level in self.levels:
            head = f"{self.norm} ε = {level.epsilon:g}: worst {level.worst[self.prediction]}"
            lines += [head, *(f"  {_line(row, self.prediction)}" for row in level.attacks)]
        lines += [f"verdict: {self.verdict}", *(f"  - {reason}" for reason in self.reasons)]
        return "\n".join(lines)


def _line(row: AttackRow, prediction: str) -> str:
    found = f"skipped: {row.skipped}" if row.skipped else str(row.accuracy[prediction])
    return f"{row.name} (at the {row.target} prediction): {found}"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (tuple, list)) else value


def _shares(content: Mapping[str, Any]) -> dict[str, Share]:
    return {key: Share(**value) for key, value in content.items()}


def row_of(content: Mapping[str, Any]) -> AttackRow:
    """The row that `asdict` made `content` of."""
    return AttackRow(**{**content, "accuracy": _shares(content["accuracy"])})


def _level(content: Mapping[str, Any]) -> Level:
    return Level(
        epsilon=content["epsilon"],
        worst=_shares(content["worst"]),
        strongest=content["strongest"],
        attacks=tuple(row_of(row) for row in content["attacks"]),
        records=tuple(content["records"]),
    )


def _report(content: Mapping[str, Any]) -> RobustnessReport:
    convergence = {int(k): Share(**v) for k, v in content["convergence"].items()}
    read = {
        "reasons": tuple(content["reasons"]),
        "notes": tuple(content["notes"]),
        "clean": _shares(content["clean"]),
        "unbounded": _shares(content["unbounded"]),
        "levels": tuple(_level(level) for level in content["levels"]),
        "convergence": convergence,
    }
    return RobustnessReport(**{**content, **read})
