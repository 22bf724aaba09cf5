"""A decoder network trained on unlimited fresh draws."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor

from sfumato.errors import SettingError
from sfumato.privacy.attacks.unet import reader
from sfumato.privacy.attacks.wiener import LinearDecoder
from sfumato.privacy.knowledge import Knowledge
from sfumato.train.loop import Progress, silent
from sfumato.train.seed import generator


@final
@dataclass(frozen=True)
class DecoderSettings:
    """The budget of the decoder network; the attack stops early when it no longer gains.

    Args:
        steps: optimiser steps at most, each on fresh draws; 0 leaves the attack to the linear
            decoder.
        batch_size: records in a step.
        lr: learning rate at the start; it falls to zero along a cosine.
        width: channels of the first level.
        check_every: steps between two looks at the validation error.
        patience: looks without a gain before the training stops.

    Raises:
        SettingError: a number is not above 0.
    """

    steps: int = 600
    batch_size: int = 64
    lr: float = 2e-3
    width: int = 16
    check_every: int = 50
    patience: int = 4

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (value > 0 or (name == "steps" and value == 0)):
                raise SettingError(f"{name} must be above 0, not {value}")


@final
class NetworkDecoder:
    """Adds to the linear decoder what a small U-Net can still find.

    The network sees the releases, the class mean and the linear reconstruction, and learns the
    remaining error on auxiliary records with a fresh draw in every step. A tenth of the auxiliary
    records is held out; the weights with the least error there are kept, the linear decoder's
    own reconstruction included, so that the network is never the weaker attacker there.

    Releases may have another shape than the records: feature maps are resized to the size of the
    picture, vectors projected to planes of it.

    Attributes:
        steps: optimiser steps taken.
        stopped: whether it stopped because it no longer gained; else the budget was spent, and a
            larger one may find more.
    """

    def __init__(
        self,
        knowledge: Knowledge,
        start: LinearDecoder,
        settings: DecoderSettings,
        seed: int,
        progress: Progress = silent,
    ) -> None:
        self.knowledge, self.start, self.settings = knowledge, start, settings
        self.progress = progress
        self.held, self.used = split(len(knowledge.inputs), seed)
        shapes = knowledge.shapes()
        self.widths = [torch.Size(shape).numel() for shape in shapes]
        self.scale = self._spread()
        record = tuple(knowledge.inputs.shape[1:])
        self.network = reader(record, shapes, settings.width).to(knowledge.inputs.device)
        self.steps, self.stopped = 0, False
        self._train(seed)

    @torch.no_grad()
    def reconstruct(self, releases: Tensor, labels: Tensor) -> Tensor:
        """Records `[B, d]` from flat releases and their labels."""
        parts = zip(releases.split(512), labels.split(512), strict=True)
        return torch.cat([self._forward(y, c) for y, c in parts])

    def _spread(self) -> Tensor:
        """The size of the releases' deviations, so that the network sees numbers around 1."""
        x, labels = self._records(self.used[:512])
        deviation = self.knowledge.draw(x, labels).float() - self.start.centres[labels].float()
        sizes = [part.square().mean().sqrt() for part in deviation.split(self.widths, 1)]
        return torch.stack(sizes).clamp(min=1e-12)

    def _forward(self, releases: Tensor, labels: Tensor) -> Tensor:
        linear = self.start.reconstruct(releases, labels)
        if not self.settings.steps:
            return linear
        known = torch.stack([linear, self.start.means[labels].float()], 1)
        deviation = releases.float() - self.start.centres[labels].float()
        parts = [y / s for y, s in zip(deviation.split(self.widths, 1), self.scale, strict=True)]
        return linear + self.network(known, parts)

    def _train(self, seed: int) -> None:
        settings, best = self.settings, copy.deepcopy(self.network.state_dict())
        if not settings.steps:
            return
        optimizer = torch.optim.Adam(self.network.parameters(), lr=settings.lr)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
        order = generator(seed, "decoder", "batches")
        x, labels = self._records(self.held)
        held = x.flatten(1), self.knowledge.draw(x, labels), labels  # one draw: looks compare
        least, waited = self._error(*held), 0
        for self.steps in range(1, settings.steps + 1):
            self._step(self.used[self._pick(order)], optimizer)
            schedule.step()
            if self.steps % settings.check_every == 0:
                error, waited = self._error(*held), waited + 1
                self._report(error)
                if error < least:
                    least, waited = error, 0
                    best = copy.deepcopy(self.network.state_dict())
                self.stopped = waited >= settings.patience
                if self.stopped:
                    break
        self.network.load_state_dict(best)

    def _pick(self, order: torch.Generator) -> Tensor:
        return torch.randint(len(self.used), (self.settings.batch_size,), generator=order)

    def _step(self, index: Tensor, optimizer: torch.optim.Optimizer) -> None:
        x, labels = self._records(index)
        with torch.enable_grad():
            guess = self._forward(self.knowledge.draw(x, labels), labels)
            loss = F.mse_loss(guess, x.flatten(1).float())
            optimizer.zero_grad()
            loss.backward()
        optimizer.step()

    def _report(self, error: float) -> None:
        steps = {"epoch": self.steps, "epochs": self.settings.steps, "unit": "step"}
        self.progress({**steps, "error": error})

    @torch.no_grad()
    def _error(self, records: Tensor, releases: Tensor, labels: Tensor) -> float:
        return float(F.mse_loss(self.reconstruct(releases, labels), records.float()))

    def _records(self, index: Tensor) -> tuple[Tensor, Tensor]:
        return self.knowledge.inputs[index], self.knowledge.labels[index]


def split(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """The numbers of the records held out, a tenth, and of those trained on."""
    order = torch.randperm(count, generator=generator(seed, "decoder"))
    held = max(1, count // 10)
    return order[:held][:2048], order[held:] if count > held else order
