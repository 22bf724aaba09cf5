"""Learning from the network as it was before it was pruned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.compression.counting import evaluating
from sfumato.errors import SettingError
from sfumato.train import Batch, BatchLoss, cross_entropy


@final
@dataclass(frozen=True, eq=False)
class Distillation:
    """(1 - w) · task + w · T² · KL(teacher / T ‖ student / T), a loss for `prune` and training.

    Hinton, Vinyals, Dean 2015, "Distilling the Knowledge in a Neural Network", §2. The teacher
    answers on its mean path, without gradient.

    Args:
        teacher: the unpruned network; it is not changed.
        weight: w in [0, 1].
        temperature: T, above 0; a higher one shows more of the teacher's doubts.
        task: the loss on the labels.

    Raises:
        SettingError: a weight or temperature outside of that; at a call, a teacher with another
            number of classes.
    """

    teacher: nn.Module
    weight: float = 0.5
    temperature: float = 4.0
    task: BatchLoss = cross_entropy

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 1:
            raise SettingError(f"the weight of distillation lies in [0, 1], not {self.weight}")
        if not self.temperature > 0:
            raise SettingError(f"the temperature must be above 0, not {self.temperature}")

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        """The loss of one batch, a scalar."""
        heard: list[Tensor] = []

        def hear(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            heard.append(output)

        hook = model.register_forward_hook(hear)
        try:
            task = self.task(model, batch)  # the student's logits are those that the task sees
        finally:
            hook.remove()
        student = heard[-1] if heard else model(batch.x)
        with evaluating(self.teacher), torch.no_grad():
            teacher = self.teacher(batch.x)
        if teacher.shape != student.shape:
            raise SettingError(
                f"the teacher gives {list(teacher.shape)}, the network {list(student.shape)}"
            )
        log_student = F.log_softmax(student / self.temperature, 1)
        log_teacher = F.log_softmax(teacher / self.temperature, 1)
        apart = F.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)
        return (1 - self.weight) * task + self.weight * self.temperature**2 * apart
