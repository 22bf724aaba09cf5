"""What a trainer who knows the noise can do."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import sfumato as sf
from sfumato.errors import DataError, SettingError
from sfumato.obfuscation.learner import ScaleInput, averaged_prediction, consistency, with_scale
from tests.obfuscation import tiny
from tests.obfuscation.fitting import start, trained


def test_the_average_of_draws_comes_near_the_expectation() -> None:
    # P(class 1) for logits (0, a x + σ' ε) averaged over ε, against Gauss-Hermite quadrature.
    model = nn.Linear(1, 2, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.0], [3.0]]))
    x, sigma = torch.tensor([[0.4], [-0.7]]), 0.8
    nodes, weights = _hermite(64)
    expected = torch.stack(
        [(weights * torch.sigmoid(3 * (v + sigma * nodes))).sum() for v in x.double().flatten()]
    )
    torch.manual_seed(0)
    found = averaged_prediction(model, sf.obfuscation.isotropic((1,), sigma), x, draws=4000)
    # A probability has a standard deviation of at most ½: five standard errors are 0.04.
    assert torch.allclose(found[:, 1].double(), expected, atol=0.04)
    assert torch.allclose(found.sum(1), torch.ones(2))


def _hermite(count: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights for the mean over a standard Gaussian (Golub and Welsch, 1969)."""
    off = torch.arange(1, count, dtype=torch.float64).sqrt()
    values, vectors = torch.linalg.eigh(torch.diag(off, 1) + torch.diag(off, -1))
    return values, vectors[0].square()


def test_one_draw_of_nearly_no_noise_is_the_prediction_itself() -> None:
    data, model = tiny.records()[1], trained()
    quiet = sf.obfuscation.isotropic((1, 8, 8), 1.1e-3)
    with torch.no_grad():
        expected = model(data.inputs).softmax(1)
    for of in ("probabilities", "logits"):
        found = averaged_prediction(model, quiet, data.inputs, 1, of=of, batch_size=7)
        assert torch.allclose(found, expected, atol=0.02)


def test_logits_are_averaged_before_the_softmax() -> None:
    model: Any = nn.Identity()
    draws = iter([torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 4.0]])] * 2)

    def draw(_: Tensor) -> Tensor:
        return next(draws)

    logits = averaged_prediction(model, draw, torch.zeros(1, 2), 2, of="logits")
    assert torch.allclose(logits, torch.tensor([[1.0, 2.0]]).softmax(1))
    likely = averaged_prediction(model, draw, torch.zeros(1, 2), 2)
    expected = (torch.tensor([[2.0, 0.0]]).softmax(1) + torch.tensor([[0.0, 4.0]]).softmax(1)) / 2
    assert torch.allclose(likely, expected)


def test_the_mode_of_the_model_is_restored() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.Dropout(0.9)).train()
    data = tiny.records()[1]

    def same(x: Tensor) -> Tensor:
        return x

    first, second = (averaged_prediction(model, same, data.inputs, 2) for _ in range(2))
    assert torch.equal(first, second) and model.training


def test_averages_that_cannot_be() -> None:
    data = tiny.records()[1]
    with pytest.raises(SettingError, match="no selection for records without a label"):
        averaged_prediction(trained(), start(), data.inputs)
    with pytest.raises(SettingError, match="at least 1, not 0"):
        averaged_prediction(trained(), start(), data.inputs, 0)
    unknown: Any = "median"
    with pytest.raises(SettingError, match="not 'median'"):
        averaged_prediction(trained(), start(), data.inputs, of=unknown)


def test_consistency_is_the_symmetric_divergence() -> None:
    first = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    second = first.flip(0)
    p, q = (torch.distributions.Categorical(logits=logits) for logits in (first, second))
    there, back = (torch.distributions.kl_divergence(a, b) for a, b in ((p, q), (q, p)))
    assert float(consistency(first, second)) == pytest.approx(float((there + back).mean() / 2))
    assert float(consistency(first, first)) == 0.0
    assert float(consistency(first, first + 5.0)) == pytest.approx(0.0, abs=1e-12)


def test_consistency_has_a_gradient_for_both_and_stays_finite() -> None:
    logits = [torch.tensor([[s * 200.0, 0.0]], requires_grad=True) for s in (1.0, -1.0)]
    value = consistency(*logits)
    value.backward()
    assert float(value.detach()) == pytest.approx(200.0)
    for each in logits:
        assert each.grad is not None and bool(each.grad.isfinite().all() and each.grad.any())


def test_consistency_of_other_shapes() -> None:
    with pytest.raises(DataError, match="same records"):
        consistency(torch.zeros(2, 3), torch.zeros(3, 3))


@pytest.mark.parametrize(
    ("shape", "scale", "channels"),
    [
        ((5, 1, 4, 4), (5,), 1),
        ((5, 3, 4, 4), (1, 1, 4, 4), 1),
        ((5, 3, 4, 4), (5, 3, 4, 4), 3),
        ((5, 3, 4, 4), (1, 2, 1, 1), 2),
        ((5, 7), (5,), 1),
        ((5, 7), (1, 7), 7),
    ],
    ids=str,
)
def test_channels_that_tell_the_noise(
    shape: tuple[int, ...], scale: tuple[int, ...], channels: int
) -> None:
    x, told = torch.rand(shape), torch.rand(scale)
    found = with_scale(x, told)
    assert found.shape == (shape[0], shape[1] + channels, *shape[2:])
    assert torch.equal(found[:, : shape[1]], x)
    wanted = told.reshape(5, *(1,) * (len(shape) - 1)) if len(scale) == 1 else told
    assert torch.equal(found[:, shape[1] :], wanted.expand(5, channels, *shape[2:]))


def test_a_flag_of_booleans() -> None:
    released = torch.tensor([True, False])
    assert with_scale(torch.ones(2, 3), released)[:, 3].tolist() == [1.0, 0.0]


@pytest.mark.parametrize("scale", [(4,), (5, 1, 3, 4), (5, 1, 4), (3, 1, 4, 4)], ids=str)
def test_scales_that_do_not_fit(scale: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="a scale for records"):
        with_scale(torch.zeros(5, 3, 4, 4), torch.zeros(scale))


class Summing(nn.Module):
    """The sum of each channel."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).sum(2) if x.dim() > 2 else x


def test_a_clean_record_has_no_noise() -> None:
    model, x = ScaleInput(Summing(), channels=3, extra=2), torch.rand(5, 3, 4, 4)
    clean, released = model(x), model(with_scale(x, torch.full((1, 2, 1, 1), 0.5)))
    assert torch.equal(clean[:, :3], released[:, :3])
    assert bool((clean[:, 3:] == 0).all()) and bool((released[:, 3:] == 8.0).all())
    vectors = ScaleInput(Summing(), channels=3)
    assert vectors(torch.ones(2, 3)).tolist() == [[1.0, 1.0, 1.0, 0.0]] * 2


def test_the_model_inside_learns() -> None:
    model = ScaleInput(nn.Linear(4, 2), channels=3)
    model(with_scale(torch.ones(2, 3), torch.ones(2))).sum().backward()
    inner: Any = model.model
    assert bool(inner.weight.grad.all()) and "model.weight" in model.state_dict()


def test_inputs_that_do_not_fit_the_channels() -> None:
    with pytest.raises(DataError, match="3 channels, or 4 with those that tell the noise, not 5"):
        ScaleInput(Summing(), channels=3)(torch.zeros(2, 5))
    with pytest.raises(SettingError, match="at least 1, not 0, 1"):
        ScaleInput(Summing(), channels=0)
    assert math.isfinite(float(ScaleInput(Summing(), 3)(torch.zeros(0, 3)).sum()))
