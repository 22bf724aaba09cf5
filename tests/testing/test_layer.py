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


BROKEN = [
    (Frozen, "noise_is_fresh_and_seeded", "two calls give the same sample"),
    (OnlyInTraining, "noise_is_fresh_and_seeded", "two calls give the same sample"),
    (Overwritten, "gradients_reach_every_parameter", "slope of other noise"),
    (Idle, "gradients_reach_every_parameter", "no gradient reaches extra"),
    (Unstored, "half_precision", "bfloat16 went in"),
]


@pytest.mark.parametrize(("layer", "test", "message"), BROKEN)
def test_a_broken_layer_is_caught(layer: type[nn.Module], test: str, message: str) -> None:
    class Contract(Good):
        def make(self) -> nn.Module:
            return layer()

    with pytest.raises(AssertionError, match=message):
        getattr(Contract(), f"test_{test}")()


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
