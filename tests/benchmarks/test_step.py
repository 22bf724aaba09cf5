"""What a step computes, and what its graph keeps."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from sfumato.bench import Setting, layer_cases
from sfumato.bench.step import MIB, Step
from tests.benchmarks.toys import step

KIB4 = 4096 / MIB  # what one tensor of the records' size weighs


class KeepsOne(torch.autograd.Function):
    """y = x², keeping one tensor of its own: 2 x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(2 * x)
        return x * x

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Tensor:
        return upstream[0] * ctx.saved_tensors[0]


def half_unused(x: Tensor) -> Tensor:
    (x.exp() * 2).sin()  # this part of the graph is gone when the call returns
    return x.exp()


@pytest.mark.parametrize(
    ("call", "tensors"),
    [
        (KeepsOne.apply, 1),
        (lambda x: x + 1, 0),
        (lambda x: x * x, 0),  # the input is there anyway
        (lambda x: x.exp(), 1),  # its own output
        (lambda x: x.exp().sin(), 1),  # the same one twice
        (lambda x: x.exp().sigmoid(), 2),
        (lambda x: x.exp().view(-1)[:10].sin(), 1),  # a view of what is kept weighs nothing more
        (lambda x: (x.exp(), x.sin().cos().sum()), 2),  # output and KL
        (half_unused, 1),
    ],
)
def test_what_is_saved(call: Callable[[Tensor], object], tensors: int) -> None:
    assert step(call).saved_mib() == pytest.approx(tensors * KIB4)


def test_parameters_are_not_saved_but_there() -> None:
    weight = nn.Parameter(torch.randn(256, 256))
    assert step(lambda x: x @ weight, weight).saved_mib() == 0.0
    assert step(lambda x: x @ weight).saved_mib() == pytest.approx(64 * KIB4)


def held_mib(measured: Step) -> float:
    """What the allocator has given out after a forward pass, the output itself left out."""
    gc.collect()  # what is given back meanwhile must not have been taken before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as trace:
        outputs = measured.forward()
    events = trace.profiler.kineto_results.events()  # pyright: ignore[reportOptionalMemberAccess]
    given = sum(event.nbytes() for event in events if event.name() == "[memory]")  # pyright: ignore[reportAttributeAccessIssue]
    return (given - sum(output.untyped_storage().nbytes() for output in outputs)) / MIB


@pytest.mark.parametrize(
    "name", ["stochastic Linear", "Linear 16->16, batch 4, train + KL", "per pixel, "]
)
def test_what_is_saved_is_what_the_allocator_holds(name: str) -> None:
    """After a forward pass the allocator holds the output and what was saved, and no more."""
    for case in layer_cases(Setting(quick=True, only=name)):
        x = case.records()
        for candidate in (c for c in case.candidates if c.role in ("plain", "naive", "ours")):
            measured = Step(candidate.make(), x)
            measured()
            saved = measured.saved_mib()
            assert held_mib(measured) == pytest.approx(saved, rel=0.05, abs=2e-4), candidate.name


def test_the_gradients_start_from_one_fixed_gradient() -> None:
    weight = nn.Parameter(torch.randn(256))
    measured = step(lambda x: (x * weight, weight.square().sum()), weight)
    first, again = measured.gradients(), measured.gradients()
    assert measured._upstream is not None
    upstream = measured._upstream[0]
    for dx, dw in (first, again):
        assert dx is not None and dw is not None
        torch.testing.assert_close(dx, upstream * weight)
        torch.testing.assert_close(dw, (upstream * measured.x).sum(0) + 2 * weight)


def test_a_parameter_that_is_not_used_has_no_gradient() -> None:
    measured = step(lambda x: x * 2, nn.Parameter(torch.ones(1)))
    assert measured.gradients()[1] is None


def test_inference_makes_no_graph() -> None:
    seen: list[bool] = []
    measured = step(lambda x: seen.append(x.requires_grad or torch.is_grad_enabled()), train=False)
    measured()
    assert seen == [False]


def test_the_least_traffic() -> None:
    weight = nn.Parameter(torch.randn(256))  # 1 KiB
    call: Callable[[Tensor], object] = lambda x: (x * weight).exp()  # noqa: E731
    inference = step(call, weight, train=False).traffic_mib(0.0)
    assert inference == pytest.approx(2.25 * KIB4)  # input, weight, output
    train = step(call, weight).traffic_mib(KIB4)
    assert train == pytest.approx((2 * 3.25 + 1.25) * KIB4)
