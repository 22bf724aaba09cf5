"""Classifiers that an attacker trains on unlimited fresh draws."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.errors import SettingError
from sfumato.privacy.attacks.ridge import Ridge
from sfumato.train.seed import generator, seeded

Draw: TypeAlias = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]
"""Record numbers `[B]` -> what is read `[B, ...]`, the public group `[B]`, the answers `[B]`."""


@final
@dataclass(frozen=True)
class ReaderSettings:
    """The budget of a reading network; training stops early when it no longer gains.

    Args:
        steps: optimiser steps at most, each on fresh draws; 0 leaves it to the linear reader.
        batch_size: records in a step.
        lr: learning rate at the start; it falls to zero along a cosine.
        check_every: steps between two looks at the validation loss.
        patience: looks without a gain before the training stops.
        draws: releases that the linear reader is made from, at least one for each record.

    Raises:
        SettingError: a number is not above 0.
    """

    steps: int = 600
    batch_size: int = 128
    lr: float = 2e-3
    check_every: int = 50
    patience: int = 3
    draws: int = 8192

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (value > 0 or (name == "steps" and value == 0)):
                raise SettingError(f"{name} must be above 0, not {value}")

    def __str__(self) -> str:
        return f"up to {self.steps} steps of {self.batch_size} fresh draws, stopped early"


@final
class Reader:
    """Reads a whole number off what `draw` gives: a ridge regression and a small network.

    Both learn from fresh draws of the records 0 .. count - 1. A tenth of the records is held out:
    the network is stopped early by its loss there, and the better of the two there is used. What
    is public beside (the group, a label for example) selects the answers that the network weighs
    and the means that the regression takes off.

    Args:
        draw: makes examples of record numbers.
        count: how many records there are, at least 2.
        groups: how many groups.
        answers: how many answers.
        settings: the budget.
        seed: of draws and network.
    """

    def __init__(
        self, draw: Draw, count: int, groups: int, answers: int, settings: ReaderSettings, seed: int
    ) -> None:
        self.draw, self.settings = draw, settings
        self.groups, self.answers = groups, answers
        order = torch.randperm(count, generator=generator(seed, "reader"))
        held = max(1, count // 10)
        with seeded(seed, "reader"), torch.enable_grad():
            held_out = draw(order[:held][:2048])  # one draw: looks compare
            self.used = order[held:] if count > held else order
            self.ridge = self._linear(held_out)
            self.network: nn.Module | None = None
            linear = accuracy_of(self.ridge.scores(*held_out[:2]), held_out[2])
            if settings.steps:
                self.network = _network(held_out[0].shape[1:], groups * answers)
                self._train(held_out, seed)
                deep = accuracy_of(self._logits(*held_out[:2]), held_out[2])
                self.network = self.network if deep >= linear else None

    @property
    def kind(self) -> str:
        """Which of the two is used."""
        return "linear" if self.network is None else "network"

    @torch.no_grad()
    def read(self, seen: Tensor, groups: Tensor) -> Tensor:
        """The likeliest answers, `[B]`."""
        if self.network is None:
            return self.ridge.scores(seen, groups).argmax(1)
        parts = zip(seen.split(1024), groups.split(1024), strict=True)
        return torch.cat([self._logits(y, g).argmax(1) for y, g in parts])

    def _linear(self, held_out: tuple[Tensor, Tensor, Tensor]) -> Ridge:
        ridge = Ridge(held_out[0][0].numel(), self.groups, self.answers)
        passes = -(-self.settings.draws // len(self.used))
        for _ in range(passes):
            for index in self.used.split(1024):
                seen, groups, answers = self.draw(index)
                ridge.add(seen, groups, F.one_hot(answers, self.answers))
        choices = [ridge.solved(strength) for strength in (1e-4, 1e-2, 1e-1, 1.0, 10.0)]
        wanted = F.one_hot(held_out[2], self.answers)
        errors = [float((r.scores(*held_out[:2]) - wanted).square().mean()) for r in choices]
        return choices[min(range(len(choices)), key=errors.__getitem__)]

    def _logits(self, seen: Tensor, groups: Tensor) -> Tensor:
        assert self.network is not None
        logits = self.network(self.ridge.standardised(seen))
        return logits.unflatten(1, (self.groups, self.answers))[torch.arange(len(seen)), groups]

    def _train(self, held_out: tuple[Tensor, Tensor, Tensor], seed: int) -> None:
        assert self.network is not None
        settings, network = self.settings, self.network
        optimizer = torch.optim.Adam(network.parameters(), lr=settings.lr)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
        order = generator(seed, "reader", "batches")
        best, least, waited = copy.deepcopy(network.state_dict()), float("inf"), 0
        for step in range(1, settings.steps + 1):
            pick = torch.randint(len(self.used), (settings.batch_size,), generator=order)
            seen, groups, answers = self.draw(self.used[pick])
            loss = F.cross_entropy(self._logits(seen, groups), answers)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            if step % settings.check_every == 0 or step == settings.steps:
                with torch.no_grad():
                    now = float(F.cross_entropy(self._logits(*held_out[:2]), held_out[2]))
                waited += 1
                if now < least:
                    best, least, waited = copy.deepcopy(network.state_dict()), now, 0
                if waited >= settings.patience:
                    break
        network.load_state_dict(best)


def accuracy_of(scores: Tensor, answers: Tensor) -> float:
    """The share of rows whose largest score is that of the answer."""
    return float((scores.argmax(1) == answers).double().mean())


def _network(shape: torch.Size, outputs: int) -> nn.Module:
    """Strided convolutions for pictures; pooling would cost more than all the rest."""
    if len(shape) != 3 or min(shape[1:]) < 4:
        return nn.Sequential(
            nn.Flatten(), nn.Linear(shape.numel(), 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(),
            nn.Linear(128, outputs),
        )  # fmt: skip
    levels, channels = [], shape[0]
    for width, size in ((16, 5), (32, 3)):
        levels += [nn.Conv2d(channels, width, size, 2, size // 2), nn.ReLU()]
        channels = width
    places = (-(-shape[1] // 4)) * (-(-shape[2] // 4))
    return nn.Sequential(
        *levels, nn.Flatten(), nn.Linear(channels * places, 128), nn.ReLU(), nn.Linear(128, outputs)
    )
