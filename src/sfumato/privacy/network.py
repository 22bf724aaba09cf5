"""A decoder network trained on unlimited fresh draws."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.errors import SettingError
from sfumato.privacy.knowledge import Knowledge
from sfumato.privacy.linear import LinearDecoder
from sfumato.train.loop import Progress, silent
from sfumato.train.seed import generator


@final
@dataclass(frozen=True)
class DecoderSettings:
    """The budget of the decoder network; the attack stops early when it no longer gains.

    Args:
        steps: optimiser steps at most, each on fresh draws; 0 leaves the attack to the linear
            decoders.
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
    own reconstruction included, so that the network is never the weaker attacker.
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
        self.shape = knowledge.inputs.shape[1:]
        order = torch.randperm(len(knowledge.inputs), generator=generator(seed, "decoder"))
        held = max(1, len(order) // 10)
        self.held, self.used = order[:held][:2048], order[held:] if len(order) > held else order
        self.shown = _pictures(self._release_widths(), self.shape)
        self.network = _network(self.shape, 2 + sum(self.shown), settings.width)
        self.steps = 0
        self._train(seed)

    @torch.no_grad()
    def reconstruct(self, releases: Tensor, labels: Tensor) -> Tensor:
        """Records `[B, d]` from flat releases and their labels."""
        parts = zip(releases.split(512), labels.split(512), strict=True)
        return torch.cat([self._forward(y, c) for y, c in parts])

    def _release_widths(self) -> list[int]:
        one = self.knowledge.inputs[:1], self.knowledge.labels[:1]
        return [m.release(*one).flatten(1).shape[1] for m in self.knowledge.mechanisms]

    def _forward(self, releases: Tensor, labels: Tensor) -> Tensor:
        linear = self.start.reconstruct(releases, labels)
        mean = self.start.means[labels].float()
        shown = [linear, mean]
        if self.shown:
            shown.append(releases)
        stacked = torch.cat(shown, 1)
        if len(self.shape) == 3:
            stacked = stacked.reshape(len(releases), -1, *self.shape[1:])
        return linear + self.network(stacked).flatten(1)

    def _train(self, seed: int) -> None:
        settings, best = self.settings, copy.deepcopy(self.network.state_dict())
        optimizer = torch.optim.Adam(self.network.parameters(), lr=settings.lr)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
        order = generator(seed, "decoder", "batches")
        x, labels = self._records(self.held)
        held = x.flatten(1), self.knowledge.draw(x, labels), labels  # one draw: looks compare
        least, waited = self._error(*held), 0
        for step in range(1, settings.steps + 1):
            pick = torch.randint(len(self.used), (settings.batch_size,), generator=order)
            x, labels = self._records(self.used[pick])
            loss = F.mse_loss(self._forward(self.knowledge.draw(x, labels), labels), x.flatten(1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            self.steps = step
            if step % settings.check_every == 0:
                error, waited = self._error(*held), waited + 1
                self.progress(
                    {"epoch": step, "epochs": settings.steps, "unit": "step", "error": error}
                )
                if error < least:
                    least, waited = error, 0
                    best = copy.deepcopy(self.network.state_dict())
                if waited >= settings.patience:
                    break
        self.network.load_state_dict(best)

    @torch.no_grad()
    def _error(self, records: Tensor, releases: Tensor, labels: Tensor) -> float:
        return float(F.mse_loss(self.reconstruct(releases, labels), records))

    def _records(self, index: Tensor) -> tuple[Tensor, Tensor]:
        return self.knowledge.inputs[index], self.knowledge.labels[index]


def _pictures(widths: list[int], shape: Sequence[int]) -> list[int]:
    """Channels of the releases, if each has the record's width; else the network does without."""
    size = torch.Size(shape).numel()
    return [1] * len(widths) if all(width == size for width in widths) else []


def _network(shape: Sequence[int], inputs: int, width: int) -> nn.Module:
    if len(shape) == 3:
        return _UNet(shape[0] * inputs, shape[0], width)
    size = torch.Size(shape).numel()
    hidden = max(64, 4 * width)
    last = nn.Linear(hidden, size)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(
        nn.Linear(inputs * size, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), last
    )


@final
class _UNet(nn.Module):
    """Two levels down and up; the last layer starts at zero: the start is the linear decoder."""

    def __init__(self, inputs: int, outputs: int, width: int) -> None:
        super().__init__()
        self.first = _block(inputs, width)
        self.down = _block(width, 2 * width)
        self.deep = _block(2 * width, 2 * width)
        self.up = _block(4 * width, width)
        self.last = nn.Conv2d(2 * width, outputs, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x)
        down = self.down(F.max_pool2d(first, 2, ceil_mode=True))
        deep = self.deep(F.max_pool2d(down, 2, ceil_mode=True))
        up = self.up(torch.cat([down, _resized(deep, down)], 1))
        return self.last(torch.cat([first, _resized(up, first)], 1))


def _resized(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[2:], mode="nearest")


def _block(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1), nn.SiLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1), nn.SiLU(),
    )  # fmt: skip
