"""Methods that first learn how the labels are mistaken, and then learn behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

from torch import Tensor, nn

from sfumato.errors import SettingError
from sfumato.label_noise.losses import Forward, count_matrix, estimate_matrix
from sfumato.label_noise.methods.base import Fitted, Method
from sfumato.label_noise.methods.job import Job
from sfumato.label_noise.methods.one_stage import PLAIN, OneStage

Rule = float | Literal["argmax", "count"]


@final
@dataclass(frozen=True)
class TwoStage(Method):
    """Train, read the matrix of label mistakes off the network, train anew behind it (spec 4 §4.3).

    Args:
        base: how each stage trains; `OneStage()` gives Patrini et al.'s Forward, SE-SNN's gives
            SE-SNN + Forward.
        rule: a percentile in (0, 100] or `"argmax"` for one anchor per class (`estimate_matrix`),
            `"count"` for all records (`count_matrix`).
        rounds: how often the matrix is read and the network trained anew: with 2, the second
            matrix is counted with the corrected network, whatever the rule of the first.

    Raises:
        SettingError: an unknown rule, or less than one round.
    """

    base: OneStage = PLAIN
    rule: Rule = 97.0
    rounds: int = 1

    def __post_init__(self) -> None:
        named = self.rule in ("argmax", "count")
        if not named and (isinstance(self.rule, str) or not 0 < self.rule <= 100):
            raise SettingError(f"unknown rule {self.rule!r}: 'argmax', 'count' or a percentile")
        if self.rounds < 1:
            raise SettingError(f"at least one round is needed, not {self.rounds}")

    def fit(self, job: Job) -> Fitted:
        model = self.base.train(job, "first", self.base.task)
        matrix = self.matrix(model, job)
        for number in range(1, self.rounds + 1):
            model = self.base.train(job, f"corrected-{number}", Forward(matrix, self.base.task))
            if number < self.rounds:
                matrix = count_matrix(model, job.inputs, job.labels)
        return Fitted(model, matrix)

    def matrix(self, model: nn.Module, job: Job) -> Tensor:
        """The matrix of label mistakes by this method's rule."""
        if self.rule == "count":
            return count_matrix(model, job.inputs, job.labels)
        return estimate_matrix(model, job.inputs, self.rule)
