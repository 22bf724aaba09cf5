"""`sf.sampling(model, n)`: the average of n draws, whose variance falls as 1 / n."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import sfumato as sf


@pytest.mark.parametrize("draws", [1, 4, 25])
def test_the_variance_falls_as_one_by_n(draws: int) -> None:
    """20,000 elements, seed 0: the sample variance has a relative standard error of 1 %."""
    layer = sf.nn.AdditiveNoise((200,))
    x = torch.zeros(100, 200)
    with torch.no_grad(), sf.sampling(layer, draws):
        h = layer(x)
    single = layer.distribution(x).variance[0, 0].item()
    assert h.var().item() == pytest.approx(single / draws, rel=0.05)
    assert abs(h.mean().item()) < 5 * (single / draws / h.numel()) ** 0.5


def test_the_average_comes_to_the_mean() -> None:
    layer = sf.nn.ConditionalLinear(3, 4, 2)
    x, c = torch.randn(5, 4), torch.tensor([0, 2, 1, 1, 0])
    with torch.no_grad(), sf.sampling(layer, 20_000):
        h = layer(x, c)
    location, scale = layer.params(x, c)
    assert ((h - location).abs() < 5 * scale / 20_000**0.5).all()


def test_a_record_is_averaged_over_its_own_draws() -> None:
    network = nn.Sequential(sf.nn.AdditiveNoise((1,)), nn.Identity())
    x = torch.tensor([[0.0], [100.0], [-50.0]])
    with torch.no_grad(), sf.sampling(network, 400):
        torch.testing.assert_close(network(x), x, rtol=0.0, atol=0.3)
