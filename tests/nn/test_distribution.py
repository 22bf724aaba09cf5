"""`layer.distribution`: the law of the sample, element by element."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Laplace, Normal

import sfumato as sf
from tests.nn.cases import LAWS, NAMES, a_layer


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("law", "family"), [("gaussian", Normal), ("laplace", Laplace)])
def test_every_layer(name: str, law: str, family: type) -> None:
    layer, arguments = a_layer(name)
    layer.noise = LAWS[law]
    found, (location, scale) = layer.distribution(*arguments), layer.params(*arguments)
    h = layer(*arguments)
    assert isinstance(found, family)
    torch.testing.assert_close(found.log_prob(h), family(location, scale).log_prob(h))
    assert found.entropy().shape == h.shape


def test_selection_by_keyword() -> None:
    layer, (x, c) = a_layer("ConditionalLinear")
    found = layer.distribution(x, selection=c)
    torch.testing.assert_close(found.mean, layer.params(x, c)[0])


def test_gradients_reach_the_kernels() -> None:
    layer, x = sf.nn.StochasticLinear(4, 3), torch.randn(2, 4)
    layer.distribution(x).entropy().sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.any()
