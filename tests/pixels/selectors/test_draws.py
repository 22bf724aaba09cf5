"""Draws follow the law they claim, and gradients are those of the relaxation."""

from __future__ import annotations

import math

import pytest
import torch

from sfumato.noise.source import SYSTEM, TORCH
from sfumato.pixels.selectors import JitteredGrid, Random, cells
from sfumato.pixels.selectors.draws import gumbel, logistic, stratified, top_k

ALARM = 1e-6
"""The probability with which one of the statistical tests here fails by chance, at most."""


def hoeffding(draws: int, comparisons: int) -> float:
    """How far a share may be from its probability."""
    return math.sqrt(math.log(2 * comparisons / ALARM) / (2 * draws))


def test_one_pixel_in_every_cell() -> None:
    logits, bought = torch.randn(3, 1, 9, 14), torch.zeros(3, 1, 9, 14)
    mask = stratified(logits, bought, 10, noise=gumbel(logits, TORCH))
    held = torch.zeros(3, 10).scatter_add_(1, cells((9, 14), 10).of.expand(3, -1), mask.flatten(1))
    assert bool((held == 1).all())


def test_without_noise_the_best_of_every_cell() -> None:
    logits = torch.randn(1, 1, 8, 8)
    mask = stratified(logits, torch.zeros_like(logits), 4)
    for rows in (slice(4), slice(4, 8)):
        for columns in (slice(4), slice(4, 8)):
            part = logits[0, 0, rows, columns]
            assert bool((mask[0, 0, rows, columns] == (part == part.max())).all())


def test_a_cell_is_a_categorical_draw() -> None:
    draws = 20_000
    logits = torch.tensor([[0.0, 1.0, -1.0, 0.5], [2.0, 0.0, 0.0, 1.0]])[None, None]
    many = logits.expand(draws, -1, -1, -1)
    mask = stratified(many, torch.zeros_like(many), 2, noise=gumbel(many, TORCH))
    of = cells((2, 4), 2).of
    for cell in range(2):
        inside = of == cell
        wanted = logits.flatten()[inside].softmax(0)
        found = mask.flatten(1)[:, inside].mean(0)
        assert (found - wanted).abs().max() < hoeffding(draws, 8)


def test_top_k_draws_without_replacement() -> None:
    """The first of two is drawn from softmax(w), the second from what is left."""
    draws, logits = 20_000, torch.tensor([0.0, 1.0, -1.0])
    p = logits.softmax(0)
    wanted = torch.stack(
        [p[i] + sum(p[j] * p[i] / (1 - p[j]) for j in range(3) if j != i) for i in range(3)]
    )
    many = logits.reshape(1, 1, 1, 3).expand(draws, -1, -1, -1)
    mask = top_k(many, torch.zeros_like(many), 2, noise=gumbel(many, TORCH))
    assert (mask.flatten(1).mean(0) - wanted).abs().max() < hoeffding(draws, 3)


@pytest.mark.parametrize("kind", [Random, JitteredGrid])
def test_every_pixel_is_as_likely(kind: type[Random] | type[JitteredGrid]) -> None:
    draws = 5_000
    mask = kind(1, (4, 6))(torch.zeros(draws, 1, 4, 6), k=6)
    assert (mask.mean((0, 1)) - 0.25).abs().max() < hoeffding(draws, 24)


@pytest.mark.parametrize("source", [TORCH, SYSTEM])
def test_noise_has_the_right_mean_and_variance(source) -> None:
    """Six standard errors, with the fourth moments of the laws: a false alarm below 1e-6."""
    draws, euler = 200_000, 0.5772156649
    like = torch.zeros(draws)
    for noise, mean, variance, kurtosis in (
        (gumbel(like, source), euler, math.pi**2 / 6, 5.4),
        (logistic(like, source), 0.0, math.pi**2 / 3, 4.2),
    ):
        assert bool(noise.isfinite().all())
        assert abs(float(noise.mean()) - mean) < 6 * math.sqrt(variance / draws)
        spread = variance * math.sqrt((kurtosis - 1) / draws)
        assert abs(float(noise.var()) - variance) < 6 * spread


def test_the_gradient_of_a_cell_is_that_of_its_softmax() -> None:
    logits = torch.randn(2, 1, 6, 6, requires_grad=True)
    noise, weights = torch.randn(2, 1, 6, 6), torch.randn(2, 1, 6, 6)
    bought = torch.zeros(2, 1, 6, 6)
    mask = stratified(logits, bought, 4, noise=noise, temperature=2.0, centre=3.0)
    (found,) = torch.autograd.grad((mask * weights).sum(), logits)
    made = cells((6, 6), 4)
    away = made.away.reshape(6, 6)
    wanted = torch.zeros_like(logits)
    for cell in range(4):
        inside = (made.of == cell).reshape(6, 6)
        scores = (logits + noise - 3 * away)[:, 0, inside] / 2.0
        total = (scores.softmax(1) * weights[:, 0, inside]).sum()
        wanted += torch.autograd.grad(total, logits)[0]
    torch.testing.assert_close(found, wanted)


def test_the_gradient_of_top_k_keeps_the_number() -> None:
    """The relaxed mask has a fixed sum, so no direction raises all pixels at once."""
    logits = torch.randn(2, 1, 6, 6, requires_grad=True)
    bought = torch.zeros(2, 1, 6, 6)
    bought[:, :, 0] = 1
    mask = top_k(logits, bought, 5, temperature=0.7)
    (of_sum,) = torch.autograd.grad(mask.sum(), logits, retain_graph=True)
    assert of_sum.abs().max() < 1e-6
    weights = torch.randn_like(mask)
    (found,) = torch.autograd.grad((mask * weights).sum(), logits)
    assert found.abs().max() > 1e-3
    assert abs(float(found.sum())) < 1e-5
    assert not found[:, :, 0].any()


def test_saturated_logits_have_a_finite_gradient() -> None:
    logits = (1e4 * torch.randn(1, 1, 6, 6)).requires_grad_()
    bought = torch.zeros(1, 1, 6, 6)
    for mask in (stratified(logits, bought, 4), top_k(logits, bought, 4)):
        (found,) = torch.autograd.grad((mask * torch.randn_like(mask)).sum(), logits)
        assert bool(found.isfinite().all())


def test_cells_with_a_bought_pixel_are_closed() -> None:
    """So two rounds together are spread like one partition."""
    bought = torch.zeros(1, 1, 8, 8)
    bought[0, 0, 1, 1] = bought[0, 0, 1, 6] = 1
    mask = stratified(torch.zeros(1, 1, 8, 8), bought, 2, centre=1.0)
    assert mask.nonzero()[:, 2:].tolist() == [[6, 2], [6, 6]]


def test_pictures_with_other_pasts_do_not_touch_each_other() -> None:
    logits = torch.randn(4, 1, 8, 8)
    bought = torch.zeros(4, 1, 8, 8)
    bought[1, 0, 0, :5] = 1
    bought[3, 0, 4, :5] = 1
    bought[2, 0, :3] = 1
    together = stratified(logits, bought, 6, centre=1.0)
    for each in range(4):
        alone = stratified(logits[each : each + 1], bought[each : each + 1], 6, centre=1.0)
        assert torch.equal(together[each : each + 1], alone)


def test_half_precision_counts_right() -> None:
    mask = Random(1, (64, 64))(torch.rand(1, 1, 64, 64, dtype=torch.bfloat16), k=3000)
    assert mask.dtype == torch.bfloat16
    assert int(mask.float().sum()) == 3000
