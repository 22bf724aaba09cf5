"""The contract of an obfuscation objective."""

from __future__ import annotations

import json
from abc import ABC
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from sfumato.nn import ConditionalAdditiveNoise, Recording
from sfumato.nn.record import record
from sfumato.objectives import Emission, Objective
from sfumato.testing.checks import expect, finite
from sfumato.testing.contract import Contract

SCALES = (0.05, 0.2, 1.0, 5.0)


class ObjectiveContract(Contract, ABC):
    """Abstract: the tests that every obfuscation objective passes, one of your own included.

    `make` gives the objective afresh: a function of (`Recording`, labels), or an
    `sf.objectives.Objective`. It is tried on records of two classes behind additive noise. Name a
    class `Test...`, inherit, and pytest finds it; `check` runs all tests without pytest.

    Example:
        >>> import sfumato as sf
        >>> class TestMine(ObjectiveContract):
        ...     @staticmethod
        ...     def make():
        ...         return lambda emitted, labels: (
        ...             -sum(s.mean() for s in emitted.log_scales.values())
        ...         )
        >>> TestMine.check()
    """

    invariant: ClassVar[bool] = False
    """Whether it stays the same if records, location and scale grow together."""
    smooth: ClassVar[bool] = True
    """Whether its gradient is held against finite differences: not where it draws afresh."""
    classes: ClassVar[int] = 2
    """Labels of the records."""

    @staticmethod
    def make() -> Any:
        """A fresh objective."""
        raise NotImplementedError

    def test_a_finite_scalar(self) -> None:
        """From the smallest noise to the largest it is one finite number."""
        for scale in (1e-3, *SCALES, 100.0):
            value = _Trial(self, scale).value()
            expect(value.dim() == 0, f"an objective is a scalar, not {list(value.shape)}")
            finite("objective", value)

    def test_more_noise_hides_more(self) -> None:
        """It falls, or stays at its end, as the noise grows, and falls in all."""
        values = [float(_Trial(self, scale).value().detach()) for scale in SCALES]
        slack = 1e-4 * (abs(values[0]) + abs(values[-1]))
        falls = all(b <= a + slack for a, b in pairwise(values))
        expect(
            falls and values[-1] < values[0],
            f"the objective must fall as the noise grows: at the scales {SCALES} it is {values}",
        )

    def test_its_gradient_asks_for_more_noise(self) -> None:
        """A step down its gradient makes the scales larger, at a scale where much is seen."""
        trial = _Trial(self, 0.2)
        trial.value().backward()
        slope = trial.layer.weight.grad
        expect(slope is not None, "the objective has no gradient in the parameters of the noise")
        assert slope is not None
        finite("gradient of the objective", slope)
        upwards = float(slope[:, 1].sum())
        expect(upwards < 0, f"the gradient in the raw scales sums to {upwards:.3g}: it must be < 0")

    def test_gradients(self) -> None:
        """By finite differences, in double precision, if the objective is `smooth`."""
        if not self.smooth:
            return
        seed = torch.get_rng_state()

        def value(weight: Tensor) -> Tensor:
            torch.set_rng_state(seed)
            trial = _Trial(self, 0.5, dtype=torch.float64)  # with a memory of nothing
            trial.layer.weight = nn.Parameter(weight)
            found = trial.value()
            if found.requires_grad:
                found.backward()
            slopes.append(trial.layer.weight.grad)
            return found.detach()

        slopes: list[Tensor | None] = []
        at = _Trial(self, 0.5, dtype=torch.float64).layer.weight.detach().clone()
        value(at)
        slope = slopes[0]
        expect(slope is not None, "the objective has no gradient in the parameters of the noise")
        assert slope is not None
        towards = torch.randn_like(at)
        step = 1e-5 * towards
        numeric = float(value(at + step) - value(at - step)) / 2e-5
        found = float((slope * towards).sum())
        apart = abs(found - numeric) / max(1e-6, abs(numeric))
        expect(
            apart < 1e-3, f"the gradient is {found:.6g} along a line, by differences {numeric:.6g}"
        )

    def test_scale_invariance(self) -> None:
        """If it is `invariant`, units do not matter: ten times everything is the same."""
        if not self.invariant:
            return
        one, ten = (float(_Trial(self, 0.5 * u, units=u).value().detach()) for u in (1.0, 10.0))
        close = abs(one - ten) <= 1e-2 * max(1e-3, abs(one))
        expect(close, f"in units ten times as small the objective is {ten:.6g}, not {one:.6g}")

    def test_seeded(self) -> None:
        """What it draws comes from torch's generator: one seed gives one value."""
        values = []
        for _ in range(2):
            torch.manual_seed(5)
            trial = _Trial(self, 0.5)
            values.append([float(trial.value().detach()) for _ in range(3)])
        expect(values[0] == values[1], f"one seed gives two runs: {values[0]} and {values[1]}")

    def test_its_memory_can_be_kept(self) -> None:
        """If it is stateful, one that takes over the state goes on as the first would have."""
        trial = _Trial(self, 0.5)
        objective = trial.objective
        if not isinstance(objective, Objective):
            return
        trial.value()
        expect(
            objective.stateful or not objective.state_dict(),
            "an objective with a state_dict must set stateful = True: else a resumed fit loses it",
        )
        other = _Trial(self, 0.5, like=trial)
        if objective.stateful and isinstance(other.objective, Objective):
            other.objective.load_state_dict(_copied(objective.state_dict()))
        values = []
        for each in (trial, other):
            torch.manual_seed(6)
            values.append([float(each.value().detach()) for _ in range(3)])
        expect(values[0] == values[1], f"after a state is taken over: {values[0]}, {values[1]}")

    def test_its_settings_are_told(self) -> None:
        """`config` is the same for the same objective, and holds JSON values."""
        one, other = self.make(), self.make()
        if isinstance(one, Objective):
            same = json.dumps(one.config()) == json.dumps(other.config())
            expect(same, f"two equal objectives tell {one.config()} and {other.config()}")


@final
class _Trial:
    """An objective on records of a law that is known, behind additive noise."""

    def __init__(
        self,
        contract: ObjectiveContract,
        scale: float,
        *,
        units: float = 1.0,
        dtype: torch.dtype = torch.float32,
        like: _Trial | None = None,
    ) -> None:
        generator = torch.Generator().manual_seed(0)
        count, shape = 60, (1, 4, 4)
        hidden = torch.randn(count, 5, generator=generator, dtype=torch.float64)
        mixing = torch.randn(5, 16, generator=generator, dtype=torch.float64)
        self.labels = torch.arange(count) % contract.classes
        shift = self.labels.double().reshape(-1, 1, 1, 1)
        values = (hidden @ mixing / 5**0.5).reshape(count, *shape) + shift
        self.inputs = (units * values).to(dtype)
        self.layer = ConditionalAdditiveNoise(contract.classes, shape, dtype=dtype)
        raw = torch.tensor(scale - self.layer.noise.config()["min_scale"], dtype=torch.float64)
        with torch.no_grad():
            self.layer.weight[:, 1] = torch.log(torch.expm1(raw.clamp(min=1e-6)))
        if like is not None:
            self.layer.load_state_dict(like.layer.state_dict())
        self.objective: Objective | Callable[[Recording, Tensor], Tensor] = contract.make()
        if isinstance(self.objective, Objective):
            self.objective.prepare(self.inputs, self.labels, contract.classes)

    def value(self) -> Tensor:
        """One step of the objective."""
        with record(self.layer) as emitted:
            releases = self.layer(self.inputs, self.labels)
        if not isinstance(self.objective, Objective):
            return self.objective(emitted, self.labels)
        shown = Emission(emitted, self.inputs, self.labels, releases, _Releasing(self.layer))
        self.objective.step(shown)
        return self.objective(shown)


@final
@dataclass(frozen=True, eq=False)
class _Releasing:
    """The layer as a mechanism."""

    layer: nn.Module

    def release(self, x: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            return self.layer(x, labels)

    def distribution(self, x: Tensor, labels: Tensor) -> Distribution:
        layer: Any = self.layer
        return layer.distribution(x, labels)


def _copied(state: Any) -> Any:
    """Tensors as a checkpoint would bring them back: values, not the objects."""
    if isinstance(state, Tensor):
        return state.clone()
    if isinstance(state, dict):
        return {key: _copied(value) for key, value in state.items()}
    return [_copied(value) for value in state] if isinstance(state, list) else state
