"""Projection, random points and steepest directions of the ball."""

from __future__ import annotations

import math

import pytest
import torch

from sfumato.errors import SettingError
from sfumato.robustness.attacks.ball import Ball, Norm, lengths

NORMS: tuple[Norm, ...] = ("linf", "l2")


@pytest.mark.parametrize("norm", NORMS)
def test_projection(norm: Norm) -> None:
    ball, centre = Ball(0.4, norm, (-1.0, 2.0)), torch.empty(50, 2, 3).uniform_(-1, 2)
    point = ball.project(centre + 3 * torch.randn_like(centre), centre)
    assert ball.left_by(point, centre) < 1e-6
    assert float(lengths(point - centre, norm).max()) > 0.39
    torch.testing.assert_close(ball.project(point, centre), point)


def test_projection_in_l2_keeps_the_direction() -> None:
    ball = Ball(0.5, "l2", (-10.0, 10.0))
    point = ball.project(torch.tensor([[3.0, 4.0]]), torch.zeros(1, 2))
    torch.testing.assert_close(point, torch.tensor([[0.3, 0.4]]))


@pytest.mark.parametrize("norm", NORMS)
def test_random_points_fill_the_ball(norm: Norm) -> None:
    """The length of the 4,000 is uniform to the power of the dimension: mean 3/4 in 3 dimensions.

    Its standard error is 0.19 / √4000 = 0.003; a false alarm at 6 of them has 2e-9.
    """
    ball, centre = Ball(0.2, norm, (-1.0, 1.0)), torch.zeros(4000, 3)
    point = ball.random(centre)
    assert ball.left_by(point, centre) < 1e-6
    mean = float(lengths(point, norm).mean()) / 0.2
    assert abs(mean - 0.75) < 6 * 0.2 / math.sqrt(4000)
    assert float(point.mean(0).abs().max()) < 6 * 0.2 / math.sqrt(4000)


@pytest.mark.parametrize("size", [1.0, 1e-30, 1e30])
def test_the_steepest_direction(size: float) -> None:
    gradient = torch.tensor([[3.0, -4.0], [0.0, 0.0]]) * size
    found = Ball(1.0, "linf", (0.0, 1.0)).steepest(gradient)
    assert torch.equal(found, torch.tensor([[1.0, -1.0], [0.0, 0.0]]))
    found = Ball(1.0, "l2", (0.0, 1.0)).steepest(gradient)
    torch.testing.assert_close(found, torch.tensor([[0.6, -0.8], [0.0, 0.0]]))


def test_who_left_the_ball() -> None:
    ball, centre = Ball(0.1, "linf", (0.0, 1.0)), torch.full((2, 2), 0.95)
    assert ball.left_by(centre, centre) <= 0
    assert ball.left_by(centre - 0.3, centre) == pytest.approx(0.2, abs=1e-6)
    assert ball.left_by(centre + 0.08, centre) == pytest.approx(0.03, abs=1e-6)
    assert ball.left_by(centre * torch.nan, centre) == math.inf


@pytest.mark.parametrize(
    ("epsilon", "norm", "bounds", "says"),
    [
        (0.0, "linf", (0.0, 1.0), "epsilon must be above 0"),
        (-1.0, "l2", (0.0, 1.0), "epsilon must be above 0"),
        (math.nan, "l2", (0.0, 1.0), "epsilon must be above 0"),
        (0.1, "l1", (0.0, 1.0), "unknown norm 'l1'"),
        (0.1, "l2", (1.0, 0.0), "bounds are"),
    ],
)
def test_balls_that_cannot_be(
    epsilon: float, norm: Norm, bounds: tuple[float, float], says: str
) -> None:
    with pytest.raises(SettingError, match=says):
        Ball(epsilon, norm, bounds)
