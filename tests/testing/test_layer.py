"""The contract of a layer lets a right layer pass and says what is wrong with others."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import sfumato as sf
from sfumato.testing import LayerContract


class Good(LayerContract):
    def make(self) -> nn.Module:
        return sf.nn.StochasticLinear(3, 2)

    def arguments(self) -> tuple[Any, ...]:
        return (torch.randn(4, 3),)


class TestBayesian(Good):
    shares_weights = True

    def make(self) -> nn.Module:
        return sf.nn.BayesianLinear(3, 2)


class TestWithASelection(Good):
    def make(self) -> nn.Module:
        return sf.nn.ConditionalLinear(3, 3, 2)

    def arguments(self) -> tuple[Any, ...]:
        return torch.randn(4, 3), sf.nn.SoftSelection(3)


class _Broken(sf.nn.StochasticModule):
    """A right layer, for others to break."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Linear(3, 4)

    def blocks(self, x: Tensor) -> Any:
        return self.kernel(x).chunk(2, -1)

    def forward(self, x: Tensor) -> Tensor:
        return self._emit(self.params(x), x)

    def config(self) -> dict[str, Any]:
        return {}


class Frozen(_Broken):
    """Draws once and for all."""

    def forward(self, x: Tensor) -> Tensor:
        if not hasattr(self, "eps"):
            self.eps = torch.randn(len(x), 2)
        return self._emit(self.params(x), x, self.eps)


class OnlyInTraining(_Broken):
    """Lets `eval` switch the noise off."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if self.training else self.params(x)[0]


class Overwritten(_Broken):
    """Keeps ε in a buffer that the next call overwrites behind autograd's back."""

    eps: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("eps", torch.zeros(4, 2), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        self.eps.data.normal_()
        location, scale = self.params(x)
        mean = self.mode == "mean"
        return location if mean else location + scale * self.eps.to(scale.dtype)


class Idle(_Broken):
    """Has a parameter that nothing uses."""

    def __init__(self) -> None:
        super().__init__()
        self.extra = nn.Parameter(torch.zeros(1))


class Unstored(_Broken):
    """Half of the kernel is no parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = torch.randn(2, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + self.shift


class SharedByRecords(_Broken):
    """Draws once for a whole batch."""

    def forward(self, x: Tensor) -> Tensor:
        params = self.params(x)
        eps = torch.normal(0.0, 1.0, (1, 2), dtype=params[0].dtype)
        return self._emit(params, x, eps.expand(params[0].shape))


class SharedByNeighbours(_Broken):
    """Draws once for every two records."""

    def forward(self, x: Tensor) -> Tensor:
        params = self.params(x)
        eps = torch.normal(0.0, 1.0, (len(x) // 2, 2), dtype=params[0].dtype)
        return self._emit(params, x, eps.repeat_interleave(2, 0))


class WrongScale(_Broken):
    """Draws with twice the scale that it claims."""

    def forward(self, x: Tensor) -> Tensor:
        location, scale = self.params(x)
        return self._emit((location, 2 * scale), x)


class ShiftedMean(_Broken):
    """Adds half the scale to what it samples."""

    def forward(self, x: Tensor) -> Tensor:
        location, scale = self.params(x)
        moved = location if self.mode == "mean" else location + scale / 2
        return self._emit((moved, scale), x)


class WideInHalfPrecision(_Broken):
    """Passes float16 on as float32."""

    def forward(self, x: Tensor) -> Tensor:
        sample = super().forward(x)
        return sample.float() if x.dtype == torch.float16 else sample


BROKEN = [
    (Frozen, "noise_is_fresh_and_seeded", "two calls give the same sample"),
    (OnlyInTraining, "noise_is_fresh_and_seeded", "two calls give the same sample"),
    (Overwritten, "gradients_reach_every_parameter", "slope of other noise"),
    (Idle, "gradients_reach_every_parameter", "no gradient reaches extra"),
    (Unstored, "half_precision", "bfloat16 went in"),
    (WideInHalfPrecision, "half_precision", "float16 went in and torch.float32 came out"),
    (SharedByRecords, "equal_records_have_noise_of_their_own", "share their noise"),
    (SharedByNeighbours, "equal_records_have_noise_of_their_own", "share their noise"),
    (WrongScale, "samples_follow_the_distribution", "apart by Kolmogorov-Smirnov"),
    (ShiftedMean, "samples_follow_the_distribution", "apart by Kolmogorov-Smirnov"),
]


@pytest.mark.parametrize(("layer", "test", "message"), BROKEN)
def test_a_broken_layer_is_caught(layer: type[nn.Module], test: str, message: str) -> None:
    class Contract(Good):
        def make(self) -> nn.Module:
            return layer()

    with pytest.raises(AssertionError, match=message):
        getattr(Contract(), f"test_{test}")()


def test_a_false_distribution_is_found_under_every_seed() -> None:
    """The sharpness that the contract states: 20 seeds of 20, at n = 2,000."""
    for layer in (WrongScale, ShiftedMean):

        class Contract(Good):
            def make(self, layer: type[_Broken] = layer) -> nn.Module:
                return layer()

        for seed in range(20):
            torch.manual_seed(seed)
            with pytest.raises(AssertionError, match="apart by Kolmogorov-Smirnov"):
                Contract().test_samples_follow_the_distribution()


def test_laws_of_every_kind_pass() -> None:
    for law in (sf.noise.Laplace(), sf.noise.Binomial(2), sf.noise.Multinomial()):

        class Contract(Good):
            draws = 1_000

            def make(self, law: Any = law) -> nn.Module:
                return sf.nn.StochasticConv1d(3, 4, 1, noise=law)

            def arguments(self) -> tuple[Any, ...]:
                return (torch.randn(4, 3, 2),)

            def arrange(self, sample: Tensor, law: Any = law) -> Tensor:
                return sample.movedim(1, -1) if isinstance(law, sf.noise.Multinomial) else sample

        Contract().test_samples_follow_the_distribution()
        Contract().test_equal_records_have_noise_of_their_own()


def test_a_right_layer_passes() -> None:
    class Contract(Good):
        def make(self) -> nn.Module:
            return _Broken()

    Contract.check()


def test_what_is_said_to_fail_must_fail() -> None:
    class Contract(Good):
        unable = {"vmap": "for no reason"}  # noqa: RUF012 - as a user would write it

    with pytest.raises(AssertionError, match="vmap works, though"):
        Contract.check()
