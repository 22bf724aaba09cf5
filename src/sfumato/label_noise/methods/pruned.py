"""Confident learning: leave out the labels that look wrong, and train on the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch

from sfumato.errors import DataError
from sfumato.label_noise.confident import label_issues
from sfumato.label_noise.methods.base import Fitted, Method
from sfumato.label_noise.methods.folds import fold_probabilities
from sfumato.label_noise.methods.job import Job
from sfumato.label_noise.methods.one_stage import PLAIN, OneStage


@final
@dataclass(frozen=True)
class Pruned(Method):
    """cleanlab's pruning (Northcutt et al. 2021): the labels it finds wrong are left out.

    Probabilities come from networks that did not see the record (`folds` trainings), what is wrong
    from `cleanlab.filter.find_label_issues`, and the last network is trained on the rest.

    Args:
        base: how each training is done.
        folds: parts of the records, at least 2.
    """

    base: OneStage = PLAIN
    folds: int = 4

    def fit(self, job: Job) -> Fitted:
        chances = fold_probabilities(job, self.base, self.folds)
        wrong = label_issues(chances, job.labels)
        dropped = wrong.nonzero().squeeze(1)
        kept = (~wrong).nonzero().squeeze(1)
        if len(torch.unique(job.labels[kept])) < 2:
            raise DataError(
                f"{len(dropped)} of {len(wrong)} labels look wrong and the rest is of one class: "
                "these labels are too noisy for pruning"
            )
        network = job.network(self.base.change)
        model = job.train("pruned", network, self.base.loss(self.base.task), kept)
        return Fitted(model, dropped=dropped)
