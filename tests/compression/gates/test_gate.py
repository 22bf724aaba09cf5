"""The gate against torch's own divergence, Monte Carlo, and its definition."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

import sfumato as sf
from sfumato.compression.gates import VIBGate
from sfumato.errors import DataError, SettingError


def gate(location: list[float], scale: list[float], **settings: Any) -> VIBGate:
    made = VIBGate(len(location), **settings).double()
    with torch.no_grad():
        made.location.copy_(torch.tensor(location))
        made.log_variance.copy_(2 * torch.tensor(scale).log())
    return made


MEANS, SCALES = [1.0, 0.3, 2.5, 0.0, 0.01], [0.1, 0.3, 4.0, 0.7, 1.5]


def test_the_divergence_is_that_from_the_best_prior() -> None:
    """KL(N(μ, σ²) || N(0, ξ)) is least at ξ = μ² + σ², where it is ½ log(1 + μ²/σ²)."""
    mean, scale = torch.tensor(MEANS).double(), torch.tensor(SCALES).double()

    def divergence(xi: torch.Tensor) -> torch.Tensor:
        return kl_divergence(Normal(mean, scale), Normal(torch.zeros_like(mean), xi.sqrt())).sum()

    best = mean.square() + scale.square()
    found = gate(MEANS, SCALES).kl()
    torch.testing.assert_close(found, divergence(best), rtol=1e-6, atol=0)
    for factor in (0.9, 1.1):
        assert divergence(factor * best) > found


def test_the_divergence_by_monte_carlo() -> None:
    """Its mean over draws; 5 standard errors, false alarm 6e-7."""
    made, draws = gate(MEANS, SCALES), 100_000
    mean, scale = torch.tensor(MEANS).double(), torch.tensor(SCALES).double()
    with torch.no_grad():
        z = made(torch.ones(draws, len(MEANS)).double())
    prior = Normal(torch.zeros_like(mean), (mean.square() + scale.square()).sqrt())
    found = (Normal(mean, scale).log_prob(z) - prior.log_prob(z)).sum(1)
    error = float(found.std()) / math.sqrt(draws)
    assert abs(float(found.mean()) - made.kl().item()) < 5 * error


def test_positions_count_a_channel_once_each() -> None:
    torch.testing.assert_close(
        gate(MEANS, SCALES, positions=64).kl(), 64 * gate(MEANS, SCALES).kl()
    )


def test_the_divergence_falls_with_noise_and_grows_with_the_mean() -> None:
    made = gate([1.0], [0.5])
    by_mean, by_noise = torch.autograd.grad(made.kl(), [made.location, made.log_variance])
    assert float(by_mean) > 0 > float(by_noise)


def test_a_draw_for_each_record_and_channel_and_one_for_all_positions() -> None:
    made = gate([1.0, 1.0], [0.5, 0.5])
    with torch.no_grad():
        z = made(torch.ones(3, 2, 4, 4).double())
    assert torch.equal(z, z[:, :, :1, :1].expand_as(z))
    assert len(z[:, :, 0, 0].unique()) == 6


def test_the_mean_path_closes_what_is_noise() -> None:
    made = gate([1.0, 0.5, 0.5, -2.0, 0.0], [0.9, 0.51, 0.6, 0.1, 0.1])
    assert made.closed.tolist() == [False, True, True, True, True]  # α = 0.81, 1.04, 1.44, ∞, ∞
    with sf.sampling(made, "mean"):
        assert made(torch.ones(1, 5).double()).tolist() == [[1.0, 0.0, 0.0, 0.0, 0.0]]
    made.threshold = 1.2
    assert made.closed.tolist() == [False, False, True, True, True]


def test_train_and_eval_do_not_touch_the_noise() -> None:
    made, x = VIBGate(3).eval(), torch.ones(2, 3)
    assert not torch.equal(made(x), made(x))
    with sf.sampling(made.train(), "mean"):
        assert torch.equal(made(x), made(x))


def test_noise_is_drawn_in_float32() -> None:
    made = VIBGate(2).bfloat16()
    with torch.no_grad():
        made.log_variance.fill_(0.0)
        z = made(torch.ones(4096, 2).float())
    assert len(z.unique()) > 4096  # bfloat16 has a few hundred values there


def test_a_start_that_changes_little() -> None:
    """Six standard deviations of 0.01 in either parameter; false alarm 1e-6 for 500 channels."""
    made = VIBGate(500)
    assert float((made.location.detach() - 1).abs().max()) < 0.06
    assert float((made.log_variance.detach() + 9).abs().max()) < 0.06
    assert not bool(made.closed.any())


@pytest.mark.parametrize("shape", [(2, 4), (3,), (2, 2, 3)])
def test_other_channels_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"a gate of 3 channels takes \[B, 3, \.\.\.\]"):
        VIBGate(3)(torch.ones(*shape))


@pytest.mark.parametrize(
    "settings",
    [{"channels": 0}, {"channels": 1, "positions": 0}, {"channels": 1, "threshold": 0.0}],
)
def test_settings_that_cannot_be(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match="must be"):
        VIBGate(**settings)


def test_its_state_can_be_stored() -> None:
    one, other = VIBGate(3), VIBGate(3)
    other.load_state_dict(one.state_dict())
    assert torch.equal(one.location, other.location)
    assert isinstance(one, nn.Module)
