"""Max-entropy with a margin against spec 4, eq. 5-7, written out as loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import sfumato as sf
from sfumato.errors import DataError, SettingError
from sfumato.objectives import max_entropy

MARGIN = 0.3


def hinge(value: float) -> float:
    return max(value, 0.0)


def values_of(log_scale: Tensor, record: int, neuron: int) -> list[float]:
    """All log σ of one neuron (one channel) for one record."""
    return log_scale[record, neuron].flatten().tolist()


def average(values: list[float]) -> float:
    return sum(values) / len(values)


def by_neuron(log_scale: Tensor) -> float:
    records, neurons = log_scale.shape[:2]
    total = 0.0
    for j in range(neurons):
        entropy = average([v for i in range(records) for v in values_of(log_scale, i, j)])
        total += hinge(MARGIN - entropy)
    return total / neurons


def by_sample(log_scale: Tensor) -> float:
    records, neurons = log_scale.shape[:2]
    total = 0.0
    for i in range(records):
        entropy = average([v for j in range(neurons) for v in values_of(log_scale, i, j)])
        total += hinge(MARGIN - entropy)
    return total / records


def by_element(log_scale: Tensor) -> float:
    return average([hinge(MARGIN - value) for value in log_scale.flatten().tolist()])


LOOPS: dict[Any, Callable[[Tensor], float]] = {
    "neuron": by_neuron,
    "sample": by_sample,
    "element": by_element,
}


@pytest.fixture(params=[(5, 3), (4, 3, 2, 3), (1, 1), (3, 2, 4)], ids=str)
def log_scale(request: pytest.FixtureRequest) -> Tensor:
    # Around the margin, so that the hinge is open for some and shut for others.
    return MARGIN + torch.randn(*request.param, dtype=torch.float64)


@pytest.mark.parametrize("over", LOOPS)
def test_equations_5_to_7(log_scale: Tensor, over: Any) -> None:
    found = float(max_entropy(log_scale, MARGIN, over))
    assert found == pytest.approx(LOOPS[over](log_scale), rel=1e-12, abs=1e-15)


def test_where_the_margin_applies_matters() -> None:
    one_quiet = torch.tensor([[2.0, -2.0], [2.0, -2.0]])
    losses = {over: float(max_entropy(one_quiet, 0.0, over)) for over in LOOPS}
    assert losses == {"neuron": 1.0, "sample": 0.0, "element": 1.0}


@pytest.mark.parametrize("over", LOOPS)
def test_layers_are_summed(over: Any) -> None:
    layers = [torch.randn(4, 3), torch.randn(4, 2, 5, 5)]
    parts = [max_entropy(layer, MARGIN, over) for layer in layers]
    for given in (layers, dict(zip("ab", layers, strict=True)), iter(layers)):
        torch.testing.assert_close(max_entropy(given, MARGIN, over), parts[0] + parts[1])


def test_it_takes_what_a_recording_holds() -> None:
    model = torch.nn.Sequential(sf.nn.StochasticLinear(4, 3), sf.nn.StochasticLinear(3, 2))
    with sf.record(model) as emitted:
        model(torch.randn(6, 4))
    max_entropy(emitted.log_scales, margin=2.0).backward()
    for layer in model:
        assert isinstance(layer, sf.nn.StochasticLinear)
        assert layer.weight.grad is not None and bool(layer.weight.grad.any())


@pytest.mark.parametrize("over", LOOPS)
def test_beyond_the_margin_nothing_pulls(over: Any) -> None:
    loud = torch.full((3, 2), MARGIN + 0.1, requires_grad=True)
    loss = max_entropy(loud, MARGIN, over)
    loss.backward()
    assert float(loss.detach()) == 0
    assert loud.grad is not None and not bool(loud.grad.any())


@pytest.mark.parametrize("over", LOOPS)
def test_below_the_margin_every_value_is_pulled_up(over: Any) -> None:
    quiet = torch.full((3, 2), MARGIN - 0.1, requires_grad=True)
    max_entropy(quiet, MARGIN, over).backward()
    torch.testing.assert_close(quiet.grad, torch.full((3, 2), -1 / 6))


def test_unknown_aggregation() -> None:
    over: Any = "batch"
    with pytest.raises(SettingError, match=r"unknown over='batch'.*'neuron', 'sample'"):
        max_entropy(torch.zeros(2, 2), 0.0, over)


@pytest.mark.parametrize("nothing", [[], {}])
def test_no_layer(nothing: Any) -> None:
    with pytest.raises(SettingError, match="at least one layer"):
        max_entropy(nothing, 0.0)


@pytest.mark.parametrize("over", LOOPS)
def test_nan_is_said(over: Any) -> None:
    broken = torch.zeros(2, 3)
    broken[1, 2] = torch.nan
    with pytest.raises(DataError, match="a log-scale is NaN"):
        max_entropy([torch.zeros(2, 3), broken], 0.0, over)


def test_where_values_cannot_be_read_nan_passes() -> None:
    batch = torch.stack([torch.zeros(2, 3), torch.full((2, 3), torch.nan)])
    found = torch.vmap(lambda values: max_entropy(values, 1.0))(batch)
    assert found.isnan().tolist() == [False, True]
    compiled = torch.compile(max_entropy, backend="eager", fullgraph=True)
    assert float(compiled(batch[0], 1.0)) == 1
    assert bool(compiled(batch[1], 1.0).isnan())
