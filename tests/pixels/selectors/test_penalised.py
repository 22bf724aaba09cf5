"""The forms of the source: a penalty instead of a budget."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

import sfumato as sf
from sfumato.errors import DataError, SettingError
from sfumato.pixels.selectors import (
    FreeLogits,
    GumbelMask,
    L1Mask,
    Penalised,
    Probabilistic,
    Realised,
    mask_moments,
    propagated,
)

KINDS = [GumbelMask, L1Mask, Probabilistic]
FREE: dict[str, Any] = {"conditional": False}


def at(selector: Penalised, logit: float) -> Penalised:
    """The selector with one logit for all pixels."""
    with torch.no_grad():
        free(selector).fill_(logit)
    return selector


def free(selector: Penalised) -> torch.nn.Parameter:
    assert isinstance(selector.scores, FreeLogits)
    return selector.scores.logits


@pytest.mark.parametrize("logit", [-4.0, -0.7, 0.0, 2.0])
@pytest.mark.parametrize("truth", [-3.0, 0.5, 2.0])
def test_moments_are_those_of_the_mask_times_the_truth(truth: float, logit: float) -> None:
    """Against Monte Carlo: six standard errors, so that a false alarm is below 1e-8 each."""
    draws = 200_000
    d, w = torch.full((draws,), truth), torch.full((draws,), logit)
    exact = (torch.rand(draws) < w.sigmoid()).float() * d
    relaxed = propagated(d, w, torch.randn(draws))
    p = 1 / (1 + math.exp(-logit))
    mean, deviation = truth * p, abs(truth) * math.sqrt(p * (1 - p))
    # Fourth central moments in standard units: of a Bernoulli, and of a Gaussian.
    fourth = {"exact": (1 - 3 * p * (1 - p)) / (p * (1 - p)), "relaxed": 3.0}
    for name, sample in (("exact", exact), ("relaxed", relaxed)):
        assert abs(float(sample.mean()) - mean) < 6 * deviation / math.sqrt(draws) + 1e-6
        error = deviation**2 * math.sqrt((fourth[name] - 1 + 1e-9) / draws)
        assert abs(float(sample.var()) - deviation**2) < 6 * error + 1e-4 * deviation**2


def test_the_slide_has_another_spread() -> None:
    d, w, eps = torch.tensor([3.0]), torch.tensor([-2.0]), torch.ones(1)
    p = float(w.sigmoid())
    assert float(propagated(d, w, eps)) == pytest.approx(3 * p + 3 * math.sqrt(p * (1 - p)))
    literal = propagated(d, w, eps, variance_as_deviation=True)
    assert float(literal) == pytest.approx(3 * p + 9 * p * (1 - p))


def test_moments_of_a_certain_pixel_have_a_finite_gradient() -> None:
    logits = torch.tensor([-200.0, 200.0], requires_grad=True)
    mean, deviation = mask_moments(logits)
    assert mean.tolist() == [0.0, 1.0]
    assert deviation.max() < 1e-20
    (mean + deviation).sum().backward()
    assert logits.grad is not None
    assert bool(logits.grad.isfinite().all())


def test_a_relaxed_mask_times_a_truth_is_propagated() -> None:
    selector = Probabilistic(1, (6, 6), **FREE)
    image, truth = torch.zeros(2, 1, 6, 6), torch.rand(2, 4, 6, 6)
    torch.manual_seed(1)
    mask = selector.relaxed(image)
    torch.manual_seed(1)
    wanted = propagated(truth, selector.scores(selector.look(image)), torch.randn(2, 1, 6, 6))
    torch.testing.assert_close(mask * truth, wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_the_relaxed_mask_trains(kind: type[Penalised]) -> None:
    """error² + λ ‖M‖₁: a heavy penalty empties the mask, none fills it where that helps."""
    for weight, low, high in ((4.0, 0.0, 0.2), (0.0, 0.8, 1.0)):
        selector = kind(1, (5, 5), **FREE)
        image, truth = torch.rand(8, 1, 5, 5), torch.ones(8, 1, 5, 5)
        optimizer = torch.optim.Adam(selector.parameters(), lr=0.2)
        for _ in range(60):
            optimizer.zero_grad()
            mask = selector.relaxed(image)
            error = (truth - mask * truth).square().mean((1, 2, 3))
            (error + weight * selector.penalty(mask)).mean().backward()
            optimizer.step()
        assert low <= Realised.of([selector.buys(image)]).mean / 25 <= high


def test_every_mean_mask_is_empty_below_one_half() -> None:
    """A λ that ends at p = 0.4 everywhere buys 40 % in draws, and nothing without noise."""
    image = torch.rand(40, 1, 16, 16)
    for kind in (GumbelMask, Probabilistic):
        selector = at(kind(1, (16, 16), **FREE), math.log(0.4 / 0.6))
        drawn = Realised.of([selector.buys(image)])
        # 10,240 draws: six standard errors are 0.03; and no two pictures need have as many.
        assert abs(drawn.mean / 256 - 0.4) < 0.03
        assert drawn.minimum < drawn.mean < drawn.maximum
        with sf.sampling(selector, "mean"):
            assert Realised.of([selector.buys(image)]) == Realised(0.0, 0.0, 0.0)
            assert selector(image, k=5).sum() == 40 * 5


@pytest.mark.parametrize(("logit", "literal"), [(-50.0, 0.2689), (50.0, 0.7311)])
def test_probabilities_as_logits_cannot_be_sparse(logit: float, literal: float) -> None:
    image = torch.rand(100, 1, 16, 16)
    selector = at(GumbelMask(1, (16, 16), literal=True, **FREE), logit)
    # 25,600 draws: six standard errors are 0.017.
    assert abs(Realised.of([selector.buys(image)]).mean / 256 - literal) < 0.017
    right = at(GumbelMask(1, (16, 16), **FREE), logit)
    assert Realised.of([right.buys(image)]).mean == (0 if logit < 0 else 256)


def test_the_gumbel_gradient_is_that_of_the_soft_mask() -> None:
    selector = GumbelMask(1, (4, 4), temperature=3.0, **FREE)
    image = torch.rand(1, 1, 4, 4)
    with sf.sampling(selector, "mean"):
        mask = selector.relaxed(image)
    weights = torch.randn_like(mask)
    (mask * weights).sum().backward()
    logits = free(selector)
    slope = (logits / 3).sigmoid() * (1 - (logits / 3).sigmoid()) / 3
    torch.testing.assert_close(logits.grad, (slope * weights).detach())


@pytest.mark.parametrize("kind", KINDS)
def test_the_penalty_pulls_at_every_pixel(kind: type[Penalised]) -> None:
    """Also where a hard mask is 0."""
    selector = at(kind(1, (4, 4), **FREE), -1.0)
    with sf.sampling(selector, "mean"):
        selector.penalty(selector.relaxed(torch.rand(1, 1, 4, 4))).sum().backward()
    gradient = free(selector).grad
    assert gradient is not None
    assert bool((gradient > 0).all())


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_bought_is_not_bought_again(kind: type[Penalised]) -> None:
    selector = at(kind(1, (4, 4), **FREE), 9.0)
    bought = torch.zeros(1, 1, 4, 4)
    bought[..., 0, :] = 1
    image = torch.rand(1, 1, 4, 4)
    with sf.sampling(selector, "mean"):
        assert torch.equal(selector.buys(image, bought), 1 - bought)
        assert not selector.relaxed(image, bought)[..., 0, :].any()


def test_the_penalty_in_shares_and_in_pixels() -> None:
    selector, mask = L1Mask(1, (2, 2)), torch.tensor([[[[1.0, 0.5], [0.0, -0.5]]]])
    assert selector.penalty(mask).tolist() == [0.5]
    assert selector.penalty(mask, share=False).tolist() == [2.0]


def test_start_is_the_probability_at_first() -> None:
    selector = L1Mask(1, (8, 8), start=0.05, **FREE)
    mask = selector.relaxed(torch.zeros(1, 1, 8, 8)).detach()
    assert float(mask.mean()) == pytest.approx(0.05, rel=0.05)
    with pytest.raises(SettingError, match="probability"):
        L1Mask(1, (8, 8), start=1.0)


def test_realised_over_batches() -> None:
    masks = [torch.ones(2, 1, 2, 2), torch.zeros(1, 1, 2, 2)]
    assert Realised.of(masks) == Realised(0.0, 8 / 3, 4.0)
    assert str(Realised(0.0, 15.2, 31.0)) == "15.2 pixels per picture (0 to 31)"
    with pytest.raises(DataError, match="no picture"):
        Realised.of([])
