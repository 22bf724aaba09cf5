"""A mixture draws c ~ π, then h ~ law_c; a sum has one mode between them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

import sfumato as sf
from sfumato.nn import SoftSelection

SHARES = torch.tensor([0.1, 0.2, 0.7])
N = 20_000


def selection(shape: tuple[int, ...] = (), **settings: Any) -> SoftSelection:
    soft = SoftSelection(3, shape, combine="mixture", **settings)
    with torch.no_grad():
        soft.logits.add_(SHARES.log().reshape(3, *(1,) * len(shape)))
    return soft


def classes(h: Tensor) -> list[float]:
    """How often each class was drawn; class c sits at 10 c, with a scale of 0.01."""
    return torch.bincount((h.detach().flatten() / 10).round().long(), minlength=3).tolist()


def told_apart(layer: Any) -> Any:
    """Class c emits 10 c whatever comes in."""
    with torch.no_grad():
        layer.weight.zero_()
        target = layer.weight if isinstance(layer, sf.nn.ConditionalAdditiveNoise) else layer.bias
        raw = sf.noise.raw_scale(0.01, 1e-3)
        for c in range(3):
            location, scale = target[c].chunk(2)
            location.fill_(10.0 * c)
            scale.fill_(raw)
    return layer


def as_drawn(observed: list[float]) -> bool:
    """Chi-square with 2 degrees of freedom; seed 0, or the os source; false alarm 1e-9."""
    total = sum(observed)
    return chisquare(observed, (SHARES.double() * total).tolist(), sum_check=False).pvalue > 1e-9


@pytest.mark.parametrize("learning", [True, False])
@pytest.mark.parametrize("source", ["torch", "os"])
@pytest.mark.parametrize("place", ["input", "output"])
def test_classes_are_drawn_with_their_shares(learning: bool, source: Any, place: Any) -> None:
    """n = 20,000 records, each with a class of its own."""
    layer, soft = told_apart(sf.nn.ConditionalLinear(3, 1, 2)), selection(place=place)
    with torch.set_grad_enabled(learning), sf.sampling(layer, source=source):
        h = layer(torch.zeros(N, 1), soft)
    assert as_drawn(classes(h[:, 0]))
    assert (h[:, 0] - h[:, 1]).abs().max() < 1  # one class for all elements of a record


def test_classes_are_drawn_for_each_element() -> None:
    """n = 20,000 elements of 200 records, each with a class of its own."""
    layer = told_apart(sf.nn.ConditionalAdditiveNoise(3, (100,)))
    h = layer(torch.zeros(N // 100, 100), selection((100,)))
    assert as_drawn(classes(h))
    assert len(h[0].round(decimals=-1).unique()) == 3


def test_neighbours_draw_their_classes_apart() -> None:
    """n = 20,000 pairs: both of a pair are of class 2 as often as 0.7 squared says."""
    layer = told_apart(sf.nn.ConditionalLinear(3, 1, 1))
    with torch.no_grad():
        drawn = (layer(torch.zeros(2 * N, 1), selection()) / 10).round().reshape(N, 2)
    both = (drawn == 2).all(1).float().mean().item()
    assert abs(both - 0.49) < 4.9 * (0.49 * 0.51 / N) ** 0.5


def test_a_mixture_has_two_modes_where_a_sum_has_one() -> None:
    layer = sf.nn.ConditionalAdditiveNoise(2, (1,))
    with torch.no_grad():
        layer.weight[:, 0, 0] = torch.tensor([-5.0, 5.0])
        layer.weight[:, 1, 0] = sf.noise.raw_scale(1.0, 1e-3)
        x = torch.zeros(N, 1)
        mixed = layer(x, SoftSelection(2, combine="mixture")).flatten()
        summed = layer(x, SoftSelection(2)).flatten()
    assert (mixed.abs() < 2).float().mean() < 0.01
    assert (summed.abs() < 2).float().mean() > 0.9
    for side in (mixed[mixed > 0], mixed[mixed < 0]):
        assert abs(len(side) / N - 0.5) < 0.02
        assert side.std().item() == pytest.approx(1.0, abs=0.05)
    assert mixed.std().item() == pytest.approx(26**0.5, abs=0.1)
    assert summed.std().item() == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("place", ["input", "output"])
@pytest.mark.parametrize("shape", [(), (2,), (2, 3, 3)])
def test_the_gradient_reaches_the_logits(place: Any, shape: tuple[int, ...]) -> None:
    layer = sf.nn.ConditionalConv2d(3, 2, 2, 1)
    soft = SoftSelection(3, shape, place, "mixture")
    layer(torch.randn(4, 2, 3, 3), soft).square().sum().backward()
    assert soft.logits.grad is not None
    assert soft.logits.grad.isfinite().all()
    assert soft.logits.grad.any()


def test_a_mixture_learns_its_best_class() -> None:
    """Class 2 sits where the target is: its share must win."""
    layer = told_apart(sf.nn.ConditionalLinear(3, 1, 1)).requires_grad_(False)
    soft = SoftSelection(3, combine="mixture")
    optimizer = torch.optim.Adam(soft.parameters(), lr=0.1)
    for _ in range(60):
        optimizer.zero_grad()
        (layer(torch.zeros(64, 1), soft) - 20).abs().mean().backward()
        optimizer.step()
    assert soft().argmax() == 2
    assert soft()[2] > 0.8


def test_one_hot_draws_stay_exactly_one_hot() -> None:
    """With a gradient attached, the classes that were not drawn add exactly nothing."""
    layer = told_apart(sf.nn.ConditionalAdditiveNoise(3, (4,)))
    with torch.no_grad():
        layer.weight[1] = 1e20
    h = layer(torch.zeros(2000, 4), selection())
    kept = h[h.abs() < 1e10]
    assert set(kept.detach().round(decimals=0).tolist()) <= {-0.0, 0.0, 20.0}


@pytest.mark.parametrize("temperature", [0.1, 1.0, 10.0])
def test_the_temperature_does_not_change_what_is_drawn(temperature: float) -> None:
    layer = told_apart(sf.nn.ConditionalLinear(3, 1, 1))
    soft = selection(temperature=temperature)
    assert as_drawn(classes(layer(torch.zeros(N, 1), soft)))
