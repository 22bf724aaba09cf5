"""Adversarial training: the task's loss on the worst records that a search finds."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, final

import torch
from torch import Tensor, nn

from sfumato.errors import SettingError
from sfumato.robustness.attacks.ball import Norm
from sfumato.robustness.defences.search import Search, error, refuse_recording
from sfumato.train.loop import Batch, BatchLoss, cross_entropy


@final
@dataclass(frozen=True)
class Adversarial:
    """min over θ of E max over |δ| ≤ ε of the loss at x + δ (Madry et al. 2018, eq. 2.1).

    The inner maximum is searched by projected gradient ascent on the cross-entropy of the model's
    average probability over `draws` passes, from a random start, with fresh noise in every step
    (Salman et al. 2019 for smoothed models). The outer step then takes the gradient of `task`
    there. ε grows from 0 to its full value over the first part of the training, without which
    large ε can end in a model that says one class.

    With `attack="fgsm"` there is one step of 1.25 ε from the random start (Wong et al. 2020). It
    is cheap, and may fail all at once: the model then resists this one step and nothing else.

    Args:
        epsilon: the radius, in units of the records.
        attack: `"pgd"` or `"fgsm"`.
        steps: of the search; `"fgsm"` makes one.
        step_size: in units of the records; by default 2.5 ε / steps, for `"fgsm"` 1.25 ε.
        draws: passes that a gradient of the search is averaged over; 1 is enough where noise is
            small.
        share: of each batch that is attacked; the rest is learned from as it is.
        warm_up: the part of the training over which ε grows to its full value, in [0, 1].
        norm: `"linf"` or `"l2"`.
        bounds: the range of a record's elements; None leaves them free.
        task: the loss to train on the found records, such as a `MaxEntropyLoss`.

    Raises:
        SettingError: a setting out of range; at a call, when a recording would count the search.

    Example:
        >>> import torch, sfumato as sf
        >>> train, _ = sf.data.digits()
        >>> model = sf.train.mlp(train.shape, 10)
        >>> loss = Adversarial(0.1, steps=2)
        >>> batch = sf.train.Batch(train.inputs[:8], train.labels[:8], torch.arange(8), 0.5)
        >>> bool(loss(model, batch) > sf.train.cross_entropy(model, batch))
        True
    """

    epsilon: float
    attack: Literal["pgd", "fgsm"] = "pgd"
    steps: int = 10
    step_size: float | None = None
    draws: int = 1
    share: float = 1.0
    warm_up: float = 0.25
    norm: Norm = "linf"
    bounds: tuple[float, float] | None = (0.0, 1.0)
    task: BatchLoss = cross_entropy

    def __post_init__(self) -> None:
        if self.attack not in ("pgd", "fgsm"):
            raise SettingError(f"unknown attack {self.attack!r}: use 'pgd' or 'fgsm'")
        if not 0 < self.share <= 1:
            raise SettingError(f"share must be above 0 and at most 1, not {self.share}")
        self._search()

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        """The loss of one batch, a scalar."""
        refuse_recording(model)
        count = math.ceil(self.share * len(batch.x))
        near = self.find(model, batch.x[:count], batch.labels[:count], batch.progress)
        return self.task(model, replace(batch, x=torch.cat([near, batch.x[count:]])))

    def find(self, model: nn.Module, x: Tensor, labels: Tensor, progress: float = 1.0) -> Tensor:
        """The records that a batch is trained on.

        Args:
            model: gives logits.
            x: `[B, ...]`.
            labels: `[B]`, or probabilities `[B, C]`.
            progress: the part of the training that is behind, in [0, 1].
        """
        return self._search()(model, x, error(labels), progress)

    def _search(self) -> Search:
        steps = 1 if self.attack == "fgsm" else self.steps
        usual = 1.25 * self.epsilon if self.attack == "fgsm" else 2.5 * self.epsilon / max(1, steps)
        size = usual if self.step_size is None else self.step_size
        return Search(self.epsilon, self.norm, self.bounds, steps, size, self.draws, self.warm_up)
