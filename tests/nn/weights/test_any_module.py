"""`sf.nn.bayesian`: any module under drawn weights."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

import sfumato as sf
from sfumato.errors import SettingError
from tests.nn.weights.cases import MODULES, first, modules

# torch's own remark about projections
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")


def test_a_draw_is_the_module_under_other_weights() -> None:
    for name, (module, arguments) in modules().items():
        wrapped = sf.nn.bayesian(module, scale=0.1)
        torch.manual_seed(4)
        found = first(wrapped(*arguments))
        torch.manual_seed(4)
        drawn = {
            key: mean + scale * torch.normal(0.0, 1.0, mean.shape)
            for key, (mean, scale) in wrapped.weight_params().items()
        }
        wanted = first(functional_call(module, drawn, arguments))
        torch.testing.assert_close(found, wanted, msg=name)


@pytest.mark.parametrize("name", MODULES)
def test_every_module(name: str) -> None:
    module, arguments = modules()[name]
    plain = copy.deepcopy(module)
    wrapped = sf.nn.bayesian(module)
    h = first(wrapped(*arguments))
    assert h.shape == first(plain(*arguments)).shape
    assert (h != first(wrapped(*arguments))).any()
    with sf.sampling(wrapped, "mean"):
        torch.testing.assert_close(first(wrapped(*arguments)), first(plain(*arguments)))
    (h.square().sum() + wrapped.kl()).backward()
    for key, parameter in wrapped.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), key


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU], ids=lambda k: k.__name__)
def test_recurrent_slopes_against_finite_differences(kind: Any) -> None:
    """The scales' slopes go through every step of the sequence."""
    layer = sf.nn.bayesian(kind(2, 3, num_layers=2, bidirectional=True).double(), scale=0.2)
    x = torch.randn(4, 2, 2, dtype=torch.float64)
    names = [name for name, _ in layer.named_parameters()]

    def run(*values: Tensor) -> Tensor:
        torch.manual_seed(5)
        return first(functional_call(layer, dict(zip(names, values, strict=True)), (x,)))

    values = tuple(p.detach().clone().requires_grad_() for p in layer.parameters())
    assert torch.autograd.gradcheck(run, values, fast_mode=True)


def test_chosen_names_only() -> None:
    lstm = sf.nn.bayesian(nn.LSTM(3, 4, num_layers=2), names=["weight_ih_*", "bias_hh_l1"])
    assert set(lstm.names) == {"weight_ih_l0", "weight_ih_l1", "bias_hh_l1"}
    assert set(lstm.posterior()) == set(lstm.names)


def test_tied_weights_are_drawn_once() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.into, self.out = nn.Embedding(6, 4), nn.Linear(4, 6, bias=False)
            self.out.weight = self.into.weight

        def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
            vectors = self.into(tokens)
            return vectors, self.out(vectors)

    tied = sf.nn.bayesian(Tied(), scale=0.5)
    vectors, scores = tied(torch.arange(6))
    torch.testing.assert_close(scores, vectors @ vectors.T)
    assert len(tied.names) == 1


def test_the_plain_state_dict_is_accepted() -> None:
    for name, (module, arguments) in modules().items():
        trained = copy.deepcopy(module)
        for parameter in trained.parameters():
            nn.init.normal_(parameter)
        net = nn.Sequential(sf.nn.bayesian(module))
        net.load_state_dict({f"0.{k}": v for k, v in trained.state_dict().items()})
        with sf.sampling(net, "mean"):
            torch.testing.assert_close(first(net[0](*arguments)), first(trained(*arguments)))
        own = net.state_dict()
        net.load_state_dict(own)
        assert len({v.data_ptr() for v in own.values()}) == len(own), name


def test_attributes_are_the_modules() -> None:
    assert sf.nn.bayesian(nn.LSTM(3, 4)).hidden_size == 4
    with pytest.raises(AttributeError, match="nothing"):
        _ = sf.nn.bayesian(nn.LSTM(3, 4)).nothing


def test_recorded_with_its_divergence() -> None:
    gru = sf.nn.bayesian(nn.GRU(3, 4))
    with sf.record(gru) as rec:
        gru(torch.randn(5, 2, 3))
    torch.testing.assert_close(rec.kl, gru.kl())


def test_frozen_parameters_stay_frozen() -> None:
    linear = nn.Linear(3, 2)
    linear.bias.requires_grad_(False)
    wrapped = sf.nn.bayesian(linear)
    assert not wrapped.raws["bias"].requires_grad and wrapped.raws["weight"].requires_grad


def test_bad_settings() -> None:
    with pytest.raises(SettingError, match="no parameter of GRU is called 'kernel'"):
        sf.nn.bayesian(nn.GRU(2, 2), names=["kernel"])
    with pytest.raises(SettingError, match="list of names"):
        sf.nn.bayesian(nn.GRU(2, 2), names="weight_ih_l0")
    with pytest.raises(SettingError, match="it has none"):
        sf.nn.bayesian(nn.ReLU())
    with pytest.raises(SettingError, match="meta device has no values"):
        sf.nn.bayesian(nn.GRU(2, 2, device="meta"))
    assert sf.nn.bayesian(nn.GRU(2, 2, device="meta"), scale=0.1).raws["bias_ih_l0"].is_meta
    with pytest.raises(SettingError, match="not made yet"):
        sf.nn.bayesian(nn.LazyLinear(2))
