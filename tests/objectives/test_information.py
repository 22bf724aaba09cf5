"""The information objective against closed forms and numerical integration."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Distribution, Laplace, Normal

from sfumato.objectives import information, max_entropy


def alternating(count: int, half: float) -> Tensor:
    """`count` locations at ± `half`, whose N - 1 variance is half² count / (count - 1)."""
    signs = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(count // 2)
    return half * signs.unsqueeze(1)


def spread(count: int, half: float) -> float:
    return half * half * count / (count - 1)


@pytest.mark.parametrize(("half", "sigma"), [(1.0, 0.5), (0.1, 2.0), (3.0, 0.01)])
def test_gaussian_closed_form(half: float, sigma: float) -> None:
    # For Gaussian noise of one scale the bound is ½ log(1 + Var μ / σ²): a channel's capacity.
    law = Normal(alternating(10, half), torch.full((10, 1), sigma, dtype=torch.float64))
    expected = 0.5 * math.log1p(spread(10, half) / sigma**2)
    assert float(information(law)) == pytest.approx(expected, rel=1e-12)


def test_gaussian_scales_that_differ() -> None:
    scales = torch.tensor([0.5, 2.0], dtype=torch.float64).repeat(5).unsqueeze(1)
    law = Normal(alternating(10, 1.0), scales)
    variance = spread(10, 1.0) + (0.25 + 4.0) / 2
    expected = 0.5 * math.log(variance) - (math.log(0.5) + math.log(2.0)) / 2
    assert float(information(law)) == pytest.approx(expected, rel=1e-12)


def test_laplace_closed_form() -> None:
    b = 0.7
    law = Laplace(alternating(8, 1.5), torch.full((8, 1), b, dtype=torch.float64))
    variance = spread(8, 1.5) + 2 * b * b
    expected = 0.5 * math.log(2 * math.pi * math.e * variance) - (1 + math.log(2 * b))
    assert float(information(law)) == pytest.approx(expected, rel=1e-12)


def test_elements_are_summed() -> None:
    mean = torch.cat([alternating(6, 1.0), alternating(6, 4.0)], 1).reshape(6, 2, 1, 1)
    law = Normal(mean, torch.ones_like(mean))
    expected = (math.log1p(spread(6, 1.0)) + math.log1p(spread(6, 4.0))) / 2
    assert float(information(law)) == pytest.approx(expected, rel=1e-12)


def test_within_classes_the_classes_distance_does_not_count() -> None:
    labels = torch.tensor([0, 0, 1, 1, 1, 1])
    own = torch.cat([alternating(2, 1.0), alternating(4, 2.0)])
    scale = torch.ones(6, 1, dtype=torch.float64)
    near, far = (Normal(own + gap * labels.unsqueeze(1), scale) for gap in (0.0, 100.0))
    first, second = 0.5 * math.log1p(spread(2, 1.0)), 0.5 * math.log1p(spread(4, 2.0))
    expected = (2 * first + 4 * second) / 6
    assert float(information(near, labels)) == pytest.approx(expected, rel=1e-12)
    assert float(information(far, labels)) == pytest.approx(expected, rel=1e-9)
    assert float(information(far)) > float(information(far, labels)) + 2


def test_classes_with_one_record_are_left_out() -> None:
    labels = torch.tensor([0, 0, 2])
    mean = torch.cat([alternating(2, 1.0), torch.full((1, 1), 50.0, dtype=torch.float64)])
    law = Normal(mean, torch.ones_like(mean))
    expected = 0.5 * math.log1p(spread(2, 1.0))
    assert float(information(law, labels)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    "labels",
    [[0, 0, 3, 3], [0, 1, 2, 2], [0, 1, 2, 3], [1, 1, 1, 1]],
    ids=["absent class", "one record", "one of each", "one class"],
)
def test_gradients_are_finite(labels: list[int]) -> None:
    mean = torch.randn(4, 3, requires_grad=True)
    raw = torch.randn(4, 3, requires_grad=True)
    value = information(Normal(mean, raw.exp()), torch.tensor(labels))
    value.backward()
    assert math.isfinite(float(value.detach()))
    for leaf in (mean, raw):
        assert leaf.grad is not None
        assert bool(leaf.grad.isfinite().all()) and bool(leaf.grad.any())


@pytest.mark.parametrize("labels", [None, torch.tensor([1])], ids=["pooled", "within"])
def test_a_single_record_pulls_nowhere(labels: Tensor | None) -> None:
    # The last batch of an epoch may hold one record: it says nothing about a spread.
    mean = torch.randn(1, 3, requires_grad=True)
    raw = torch.randn(1, 3, requires_grad=True)
    value = information(Normal(mean, raw.exp()), labels)
    value.backward()
    assert float(value.detach()) == pytest.approx(0.0, abs=1e-6)
    assert all(leaf.grad is None or float(leaf.grad.abs().max()) < 1e-6 for leaf in (mean, raw))


@pytest.mark.parametrize("law", [Normal, Laplace])
@pytest.mark.parametrize("within", [True, False])
def test_growing_location_and_scale_together_changes_nothing(
    law: type[Normal] | type[Laplace], within: bool
) -> None:
    mean = torch.randn(12, 4, dtype=torch.float64)
    scale = torch.rand(12, 4, dtype=torch.float64) + 0.5
    labels = torch.arange(12) % 3 if within else None
    small, large = law(mean, scale), law(1000 * mean, 1000 * scale)
    torch.testing.assert_close(information(large, labels), information(small, labels))


def test_max_entropy_can_be_escaped_by_growing_and_information_cannot() -> None:
    mean, scale = torch.randn(64, 5), torch.full((64, 5), 0.1)
    # Max-entropy calls the same release, multiplied by 1000, perfectly hidden.
    assert float(max_entropy(scale.log(), margin=1.0)) > 3
    assert float(max_entropy((1000 * scale).log(), margin=1.0)) == 0
    before, after = information(Normal(mean, scale)), information(Normal(1000 * mean, 1000 * scale))
    assert float(before) > 2
    torch.testing.assert_close(after, before)


def mutual_information(places: Tensor, noise: Distribution) -> float:
    """I(x; h) in nats for x uniform on `places` and h = x + noise, by the trapezoid rule."""
    grid = torch.linspace(-40, 40, 80_001, dtype=torch.float64)
    each = torch.stack([noise.log_prob(grid - place) for place in places])
    mixture = each.logsumexp(0) - math.log(len(places))
    return float(torch.trapezoid(each.exp() * (each - mixture), grid, dim=1).mean())


@pytest.mark.parametrize("sigma", [0.2, 1.0, 3.0])
@pytest.mark.parametrize("law", [Normal, Laplace])
def test_bounds_the_information_of_a_mixture(
    law: type[Normal] | type[Laplace], sigma: float
) -> None:
    places = torch.tensor([-2.0, -1.0, 0.5, 3.0], dtype=torch.float64)
    zero = torch.tensor(0.0, dtype=torch.float64)
    truth = mutual_information(places, law(zero, zero + sigma))
    # 4000 records: the N - 1 variance is the mixture's to a quarter of a thousandth.
    mean = places.repeat(1000).unsqueeze(1)
    bound = float(information(law(mean, torch.full_like(mean, sigma))))
    assert truth > 0.01
    assert bound >= truth


def test_the_bound_is_tight_where_noise_dominates() -> None:
    places, sigma = torch.tensor([-1.0, 1.0], dtype=torch.float64), 3.0
    zero = torch.tensor(0.0, dtype=torch.float64)
    truth = mutual_information(places, Normal(zero, zero + sigma))
    mean = places.repeat(2000).unsqueeze(1)
    bound = float(information(Normal(mean, torch.full_like(mean, sigma))))
    assert truth <= bound <= 1.02 * truth


@pytest.mark.parametrize("sigma", [2.0, 5.0])
def test_the_sum_bounds_a_record_whose_elements_tell_the_same(sigma: float) -> None:
    # Three noisy views of one number tell what their average does: noise of σ / √3.
    places = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    zero = torch.tensor(0.0, dtype=torch.float64)
    truth = mutual_information(places, Normal(zero, zero + sigma / 3**0.5))
    mean = places.repeat(2000).unsqueeze(1).expand(-1, 3)
    bound = float(information(Normal(mean, torch.full_like(mean, sigma))))
    assert truth <= bound
    assert truth > bound / 3  # the average over the elements would not be a bound
