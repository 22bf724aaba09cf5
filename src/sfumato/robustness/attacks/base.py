"""What all attacks share: settings, checks, parts that fit in memory, and the ball."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar

import torch
from torch import Tensor, nn

from sfumato.errors import DataError, SettingError
from sfumato.robustness.attacks.ball import TOLERANCE, Ball, Norm, lengths
from sfumato.robustness.attacks.losses import Loss, loss_named
from sfumato.robustness.attacks.modes import attackable
from sfumato.robustness.draws import Average, ExpectedModel, check_draws

Kind: TypeAlias = Literal["first-order", "transfer", "black-box"]
Own = TypeVar("Own", bound="Attack")
_COMMON = ("epsilon", "norm", "bounds", "max_batch")


@dataclass(frozen=True, kw_only=True)
class Attack(ABC):
    """Abstract: one way to make a classifier fail by small changes of its records.

    Write `perturb` for an attack of your own; `sfumato.testing.RobustnessAttackContract` tests it.
    Whatever an attack draws comes from torch's global generator.

    Args:
        epsilon: the radius of the ball, in units of the inputs.
        norm: "linf" or "l2", over all values of a record.
        draws: of the model's noise, for every step: one batched forward. 1 for a deterministic
            model.
        loss: what is made large: "cross_entropy", "margin" or "dlr".
        average: what is averaged over the draws: the "loss" (against a sampled prediction), the
            "logits" or the "probabilities" (against an averaged one).
        bounds: what values of a record may be.
        max_batch: at most so many records times draws in a forward: records run in parts. One
            record with all its draws is the smallest part.

    Raises:
        SettingError: a setting outside of what it may be.
    """

    epsilon: float
    norm: Norm = "linf"
    draws: int = 1
    loss: Loss = "cross_entropy"
    average: Average = "loss"
    bounds: tuple[float, float] = (0.0, 1.0)
    max_batch: int = 512

    kind: ClassVar[Kind] = "first-order"
    norms: ClassVar[tuple[Norm, ...]] = ("linf", "l2")

    def __post_init__(self) -> None:
        check_draws(self.draws, self.max_batch, self.average)
        loss_named(self.loss)
        Ball(self.epsilon, self.norm, self.bounds)
        if self.norm not in self.norms:
            raise SettingError(
                f"{type(self).__name__} has no norm {self.norm!r}: use {', '.join(self.norms)}"
            )
        for name in ("steps", "restarts", "queries"):
            if getattr(self, name, 1) < 1:
                raise SettingError(f"{name} must be at least 1, not {getattr(self, name)}")

    @property
    @abstractmethod
    def name(self) -> str:
        """What a report calls it: lower case, words with hyphens."""

    @abstractmethod
    def perturb(self, model: ExpectedModel, x: Tensor, labels: Tensor) -> Tensor:
        """Adversarial examples of one part of the records, inside `ball`.

        Args:
            model: the attacked model over this attack's draws, in evaluation.
            x: records `[B, ...]`.
            labels: `[B]`.

        Returns:
            Of the shape of `x`.
        """

    def __call__(self, model: nn.Module, x: Tensor, labels: Tensor) -> Tensor:
        """Adversarial examples for all records.

        Args:
            model: from `[B, ...]` to logits `[B, C]`. It is attacked in evaluation mode and left as
                it was.
            x: records `[N, ...]` inside the bounds.
            labels: their classes, `[N]`.

        Returns:
            `[N, ...]`, within ε of `x` and inside the bounds.

        Raises:
            DataError: no records, NaN, values outside the bounds, labels that are no classes.
            SettingError: the model does not give logits, or the attack left its ball.
            GradientError: a first-order attack, and a model without gradient.
        """
        check_records(x, labels, self.bounds)
        labels = labels.long()
        with attackable(model):
            expected = ExpectedModel(
                model, self.draws, average=self.average, max_batch=self.max_batch
            )
            check_classes(expected, x, labels)
            size = max(1, self.max_batch // self.draws)
            parts = [
                self._checked(self.perturb(expected, part, own).detach(), part)
                for part, own in zip(x.split(size), labels.split(size), strict=True)
            ]
        return torch.cat(parts)

    @property
    def ball(self) -> Ball:
        """Where adversarial examples may lie."""
        return Ball(self.epsilon, self.norm, self.bounds)

    def at(self: Own, epsilon: float) -> Own:
        """The same attack with another radius."""
        return replace(self, epsilon=epsilon)

    @property
    def budget(self) -> dict[str, Any]:
        """What it may spend on one record, and its other settings, as JSON values."""
        settings = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _COMMON}
        return {k: v for k, v in settings.items() if isinstance(v, (int, float, str))}

    def _checked(self, found: Tensor, x: Tensor) -> Tensor:
        if found.shape != x.shape:
            raise SettingError(f"{self.name} gave {list(found.shape)} for records {list(x.shape)}")
        beyond = self.ball.left_by(found, x)
        if beyond > TOLERANCE * max(1.0, self.epsilon):
            raise SettingError(
                f"{self.name} left its ball by {beyond:.3g} ({self.norm}, ε = {self.epsilon:g}, "
                f"bounds {self.bounds}): end it with self.ball.project(found, x)"
            )
        return found


def check_records(x: Tensor, labels: Tensor, bounds: tuple[float, float]) -> None:
    """Raise a `DataError` that says what is wrong with records or labels."""
    if len(x) == 0:
        raise DataError("there are no records to attack")
    if not x.is_floating_point():
        raise DataError(f"records must be floating point, not {x.dtype}: scale them to {bounds}")
    whole = not (labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool)
    if labels.dim() != 1 or len(labels) != len(x) or not whole:
        raise DataError(
            f"{len(x)} records need whole-number labels [{len(x)}], not {list(labels.shape)} of "
            f"{labels.dtype}"
        )
    if not bool(x.isfinite().all()):
        raise DataError("a record holds NaN or infinity")
    check_bounds(x, bounds)


def check_bounds(x: Tensor, bounds: tuple[float, float]) -> None:
    """Raise a `DataError` where records lie outside: projected, they would be other records."""
    low, high = float(x.min()), float(x.max())
    if low < bounds[0] or high > bounds[1]:
        raise DataError(
            f"records lie in [{low:.4g}, {high:.4g}], outside of the bounds {bounds}: scale them, "
            "put the normalisation into the model, or give bounds=(lowest, highest)"
        )


@torch.no_grad()
def check_classes(model: ExpectedModel, x: Tensor, labels: Tensor) -> None:
    """Raise a `DataError` where a label is no class of the model's."""
    classes = ExpectedModel(model.model, 1)(x[:1]).shape[1]
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise DataError(
            f"labels run from {low} to {high}, and the model has the classes 0 to {classes - 1}"
        )


def mean_distance(found: Tensor, x: Tensor, norm: Norm) -> float:
    """The mean norm of the perturbations."""
    return float(lengths(found - x, norm).mean())
