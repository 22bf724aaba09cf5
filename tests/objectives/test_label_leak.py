"""What the noise tells of the label, against the closed form of the divergence."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Laplace, Normal

from sfumato.objectives import label_leak


@pytest.mark.parametrize("law", [Normal, Laplace])
def test_equal_laws_tell_nothing(law: type[Normal] | type[Laplace]) -> None:
    mean, scale = torch.randn(3, 2, 4, 4), torch.rand(3, 2, 4, 4) + 0.1
    assert float(label_leak(law(mean, scale), law(mean, scale))) == pytest.approx(0, abs=1e-6)


def test_gaussian_closed_form() -> None:
    mean = torch.randn(2, 5, 3, dtype=torch.float64)
    scale = torch.rand(2, 5, 3, dtype=torch.float64) + 0.2
    total = 0.0
    for i in range(5):
        for j in range(3):
            (m, s), (n, t) = zip(mean[:, i, j].tolist(), scale[:, i, j].tolist(), strict=True)
            total += math.log(t / s) + (s * s + (m - n) ** 2) / (2 * t * t) - 0.5
    found = label_leak(Normal(mean[0], scale[0]), Normal(mean[1], scale[1]))
    assert float(found) == pytest.approx(total / 5, rel=1e-12)


def test_it_sums_over_elements_and_averages_over_records() -> None:
    own, other = Normal(torch.zeros(7, 2, 3), 1.0), Normal(torch.ones(7, 2, 3), 1.0)
    assert float(label_leak(own, other)) == pytest.approx(6 * 0.5)


def test_gradients_reach_both_laws() -> None:
    leaves = [torch.randn(3, 4, requires_grad=True) for _ in range(4)]
    label_leak(Normal(leaves[0], leaves[1].exp()), Normal(leaves[2], leaves[3].exp())).backward()
    assert all(leaf.grad is not None and bool(leaf.grad.any()) for leaf in leaves)
