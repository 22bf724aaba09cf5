"""A learned lower bound on mutual information: InfoNCE."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.data.records import Records
from sfumato.errors import SettingError
from sfumato.privacy.knowledge import Mechanism
from sfumato.train.seed import generator, seeded


@final
@dataclass(frozen=True)
class CriticSettings:
    """The budget of the critic; training stops early when it no longer gains.

    Args:
        steps: optimiser steps at most, each on fresh draws; 0 for none.
        batch_size: records that are told apart in a step.
        lr: learning rate at the start; it falls to zero along a cosine.
        width: of the two networks.
        check_every: steps between two looks at the held-out records.
        patience: looks without a gain before the training stops.

    Raises:
        SettingError: a number is not above 0.
    """

    steps: int = 400
    batch_size: int = 128
    lr: float = 2e-3
    width: int = 128
    check_every: int = 50
    patience: int = 3

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (value > 0 or (name == "steps" and value == 0)):
                raise SettingError(f"{name} must be above 0, not {value}")


@final
class Critic:
    """f(x, y) = g(x)·h(y) / √k + a(x), trained to tell which record of a batch a release is of.

    I(x; y) ≥ E[f(x_i, y_i) - log (1/B) Σ_j exp f(x_j, y_i)], at most log B (van den Oord et al.,
    2018, "Representation learning with contrastive predictive coding"). Given the label, a batch
    holds records of one class, and I(x; y | c) is bounded.

    Args:
        mechanism: what makes the releases.
        known: the attacker's records; a tenth is held out to stop early.
        settings: the budget.
        given_label: whether the label is public.
        seed: of the network, its batches and draws.
    """

    def __init__(
        self,
        mechanism: Mechanism,
        known: Records,
        settings: CriticSettings,
        *,
        given_label: bool,
        seed: int,
    ) -> None:
        self.mechanism, self.known, self.settings = mechanism, known, settings
        self.given_label = given_label
        with seeded(seed, "critic"), torch.enable_grad():
            order = torch.randperm(len(known))
            held, used = order.tensor_split([max(1, len(order) // 10)])
            self.used = used if len(used) else held
            x, y = known.inputs[self.used[:2048]], self._draw(self.used[:2048])
            self.shift = [v.flatten(1).mean(0) for v in (x, y)]
            # One factor for all elements: those that never vary stay quiet.
            self.factor = [float(1 / v.flatten(1).std(0).square().mean().sqrt()) for v in (x, y)]
            sizes = [len(shift) for shift in self.shift]
            self.records = _tower(sizes[0], settings.width, settings.width + 1)
            self.releases = _tower(sizes[1], settings.width, settings.width)
            self._train(held[:2048], seed)

    @torch.no_grad()
    def bounds(self, target: Records, seen: Tensor) -> tuple[Tensor, Tensor]:
        """The bound and its ceiling log B of each attacked record, `[N]`, in nats.

        A batch is all attacked records (of one class, where the label is given).
        """
        groups = target.labels if self.given_label else torch.zeros_like(target.labels)
        bound, ceiling = torch.zeros(len(target)).double(), torch.zeros(len(target)).double()
        for c in groups.unique().tolist():
            rows = (groups == c).nonzero().flatten()
            scores = self._scores(target.inputs[rows], seen[rows]).double()
            ceiling[rows] = math.log(len(rows))
            bound[rows] = scores.diagonal() - scores.logsumexp(1) + math.log(len(rows))
        return bound, ceiling

    def _draw(self, index: Tensor) -> Tensor:
        return self.mechanism.release(self.known.inputs[index], self.known.labels[index])

    def _scores(self, x: Tensor, y: Tensor) -> Tensor:
        """`[B, B]`: releases down, records across."""
        flat = [
            (v.flatten(1) - shift) * factor
            for v, shift, factor in zip((x, y), self.shift, self.factor, strict=True)
        ]
        told, found = self.records(flat[0]), self.releases(flat[1])
        return found @ told[:, :-1].T / self.settings.width**0.5 + told[:, -1]

    def _loss(self, index: Tensor) -> Tensor:
        scores = self._scores(self.known.inputs[index], self._draw(index))
        return F.cross_entropy(scores, torch.arange(len(index)))

    def _train(self, held: Tensor, seed: int) -> None:
        settings, order = self.settings, generator(seed, "critic", "batches")
        towers = nn.ModuleList([self.records, self.releases])
        optimizer = torch.optim.Adam(towers.parameters(), lr=settings.lr)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, settings.steps))
        best, least, waited = copy.deepcopy(towers.state_dict()), math.inf, 0
        for step in range(1, settings.steps + 1):
            loss = self._loss(self._batch(self.used, order))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            if step % settings.check_every == 0 or step == settings.steps:
                now, waited = self._held_out(held), waited + 1
                if now < least:
                    best, least, waited = copy.deepcopy(towers.state_dict()), now, 0
                if waited >= settings.patience:
                    break
        towers.load_state_dict(best)

    def _batch(self, among: Tensor, order: torch.Generator) -> Tensor:
        pick = among[torch.randint(len(among), (1,), generator=order)]
        if self.given_label:
            among = among[self.known.labels[among] == self.known.labels[pick]]
        chosen = torch.randperm(len(among), generator=order)[: self.settings.batch_size]
        return among[chosen]

    @torch.no_grad()
    def _held_out(self, held: Tensor) -> float:
        with seeded("critic", "held out"):  # the same draws at every look
            order = generator("critic", "held out")
            return sum(float(self._loss(self._batch(held, order))) for _ in range(8))


def _tower(inputs: int, width: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
        nn.Linear(width, outputs),
    )  # fmt: skip
