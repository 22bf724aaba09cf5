"""Methods of one training: a changed network and a loss."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from torch import nn

from sfumato.label_noise.methods.base import Fitted, Method
from sfumato.label_noise.methods.changes import Change, Plain
from sfumato.label_noise.methods.job import Job
from sfumato.objectives.max_entropy import Over
from sfumato.train import BatchLoss, MaxEntropyLoss, cross_entropy

_AS_IT_IS = Plain()


@final
@dataclass(frozen=True)
class Entropy:
    """Max-entropy (spec 4, eq. 5-7) beside the task's loss.

    Args:
        weight: ω. Spec 4 takes 1e-2; 0.1 does better on MNIST.
        margin: b in nats, log 4 as in spec 4, appendix B.1.
        over: `"sample"` is eq. 6, spec 4's for label noise. A sample's mean over neurons lets the
            network put its noise on the neurons that it does not need; `"element"` (eq. 7) asks
            it of each.
    """

    weight: float = 0.1
    margin: float = math.log(4)
    over: Over = "sample"


@final
@dataclass(frozen=True)
class OneStage(Method):
    """Train a changed network with a loss.

    Args:
        change: what is made of the network.
        task: the loss on the labels.
        entropy: of the stochastic layers; None for none.
    """

    change: Change = _AS_IT_IS
    task: BatchLoss = cross_entropy
    entropy: Entropy | None = None

    def fit(self, job: Job) -> Fitted:
        return Fitted(self.train(job, "train", self.task))

    def loss(self, task: BatchLoss) -> BatchLoss:
        """`task`, with max-entropy where this method has it."""
        if self.entropy is None:
            return task
        return MaxEntropyLoss(self.entropy.weight, self.entropy.margin, self.entropy.over, task)

    def train(self, job: Job, stage: str, task: BatchLoss) -> nn.Module:
        """One training of this method, with another loss on the labels."""
        return job.train(stage, job.network(self.change), self.loss(task))


PLAIN = OneStage()
