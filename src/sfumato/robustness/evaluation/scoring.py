"""Scoring with fresh noise, many times: a single evaluation picks lucky survivors."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn

from sfumato.errors import SettingError
from sfumato.nn.base import SamplingModule
from sfumato.nn.mode import sampling
from sfumato.robustness.attacks.modes import attackable
from sfumato.robustness.draws import ExpectedModel

PROBE = 32
"""Records on which it is found out whether a model draws."""


@final
@dataclass(frozen=True)
class Scorer:
    """How examples are scored.

    Args:
        rescoring: fresh draws for each example.
        averaged: draws behind one averaged prediction.
        max_batch: the largest batch of a forward.
        stochastic: whether the model draws; if not, one forward says all.
        has_mean: whether it has a mean path.
    """

    rescoring: int
    averaged: int
    max_batch: int
    stochastic: bool
    has_mean: bool

    @torch.no_grad()
    def __call__(self, model: nn.Module, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """By prediction, `[N]`: the share of fresh predictions that are right.

        "sampled" is the share of `rescoring` single draws, "averaged" that of averages over
        `averaged` draws each (of the logits), "mean" 0 or 1.
        """
        with attackable(model):
            if not self.stochastic:
                return {"sampled": self._once(model, x, labels)}
            groups = max(1, round(self.rescoring / self.averaged))
            expected = ExpectedModel(model, self.averaged, max_batch=self.max_batch)
            size = max(1, self.max_batch // self.averaged)
            parts = list(zip(x.split(size), labels.split(size), strict=True))
            counts = [self._counts(expected, part, own, groups) for part, own in parts]
            single, average = (torch.cat(values) for values in zip(*counts, strict=True))
            found = {"sampled": single, "averaged": average}
            if self.has_mean:
                with sampling(model, "mean"):
                    found["mean"] = self._once(model, x, labels)
        return found

    def _counts(
        self, expected: ExpectedModel, x: Tensor, labels: Tensor, groups: int
    ) -> tuple[Tensor, Tensor]:
        single = torch.zeros(len(x), device=x.device)
        average = torch.zeros(len(x), device=x.device)
        for _ in range(groups):
            logits = expected.sample(x)
            single += (logits.argmax(-1) == labels).float().mean(0)
            average += (logits.mean(0).argmax(-1) == labels).float()
        return single / groups, average / groups

    def _once(self, model: nn.Module, x: Tensor, labels: Tensor) -> Tensor:
        logits = ExpectedModel(model, 1, max_batch=self.max_batch)(x)
        return (logits.argmax(-1) == labels).float()


@torch.no_grad()
def is_stochastic(model: nn.Module, x: Tensor) -> bool:
    """Whether two calls of the model in evaluation differ."""
    probe = x[:PROBE]
    with attackable(model):
        expected = ExpectedModel(model, 1)
        return not torch.equal(expected(probe), expected(probe))


def has_mean_path(model: nn.Module) -> bool:
    """Whether the model has layers of ours that can pass on their mean."""
    if not any(isinstance(part, SamplingModule) for part in model.modules()):
        return False
    try:
        with sampling(model, "mean"):
            return True
    except SettingError:  # an obfuscator never passes on its mean
        return False


def mean_path(model: nn.Module, target: str) -> AbstractContextManager[Any]:
    """A context in which `model` passes on its mean if `target` says so."""
    return sampling(model, "mean") if target == "mean" else nullcontext()
