"""Conversion where other libraries go wrong, one test for each defect that was measured.

bayesian-torch 0.5.0, `dnn_to_bnn`: attention and transformer layers raise AttributeError when they
are called; an LSTM of two layers in both directions becomes one layer in one direction, without a
word; GRU, Embedding and a bare Linear are left alone, without a word; `output_padding` and
`padding_mode` are dropped; float64 becomes float32.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import sfumato as sf
from sfumato.nn.base import SamplingModule
from tests.placement.models import furthest, mean_of

KINDS = ["stochastic", "bayesian"]


@pytest.mark.parametrize("kind", KINDS)
def test_transformer_layers_are_converted_and_run(kind: str) -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    model, x = nn.Sequential(layer, nn.Linear(8, 3)), torch.randn(2, 5, 8)
    noisy = sf.convert(model, {"*": kind})
    assert sum(isinstance(module, SamplingModule) for module in noisy) == 2  # type: ignore[attr-defined]
    noisy(x).sum().backward()
    for flag in (True, False):
        with torch.no_grad():
            assert furthest(mean_of(noisy.train(flag), x), model.train(flag)(x)) <= 1e-5
            assert noisy(x).shape == (2, 5, 3)


def test_attention_is_converted_and_runs() -> None:
    attention, x = nn.MultiheadAttention(8, 2), torch.randn(5, 2, 8)
    noisy = sf.convert(nn.Sequential(attention), {"*": "bayesian"})[0]  # type: ignore[index]
    output, weights = noisy(x, x, x)
    output.sum().backward()
    assert (output.shape, weights.shape) == ((5, 2, 8), (2, 5, 5))
    assert furthest(mean_of(noisy, x, x, x), attention(x, x, x)) <= 1e-6
    assert {"in_proj_weight", "out_proj.weight"} <= set(noisy.names)


@pytest.mark.parametrize("kind", KINDS)
def test_an_lstm_keeps_layers_directions_shapes_and_state(kind: str) -> None:
    lstm, x = nn.LSTM(32, 16, num_layers=2, bidirectional=True), torch.randn(7, 3, 32)
    noisy = sf.convert(nn.Sequential(lstm), {"0": kind})[0]  # type: ignore[index]
    output, (h, c) = noisy(x)
    assert output.shape == (7, 3, 32)
    assert h.shape == c.shape == (4, 3, 16)
    assert (noisy.num_layers, noisy.bidirectional) == (2, True)
    state = torch.randn(4, 3, 16), torch.randn(4, 3, 16)
    assert furthest(mean_of(noisy, x, state), lstm(x, state)) <= 1e-6


@pytest.mark.parametrize("key", ["", "*"])
def test_nothing_is_left_alone_without_a_word(key: str) -> None:
    for layer in (nn.GRU(4, 4), nn.Embedding(4, 4), nn.Linear(4, 4)):
        noisy = sf.convert(layer, {key: "bayesian"})
        assert isinstance(noisy, sf.nn.BayesianModule)
    for layer in (nn.GRU(4, 4), nn.Linear(4, 4)):
        noisy = sf.convert(layer, {key: "stochastic"})
        assert isinstance(noisy, sf.nn.StochasticModule)
    assert sf.check(nn.Embedding(4, 4), {key: "stochastic"}) != []


def test_output_padding_is_kept() -> None:
    conv = nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1)
    x = torch.randn(2, 3, 9, 9)
    noisy = sf.convert(conv, {"": "bayesian"})
    assert noisy(x).shape == conv(x).shape == (2, 4, 18, 18)
    assert furthest(mean_of(noisy, x), conv(x)) <= 1e-6


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_mode_is_kept(mode: Any, kind: str) -> None:
    conv, x = nn.Conv2d(3, 4, 3, padding=1, padding_mode=mode), torch.randn(2, 3, 6, 6)
    zeros = nn.Conv2d(3, 4, 3, padding=1)
    zeros.load_state_dict(conv.state_dict())
    noisy = sf.convert(conv, {"": kind})
    assert furthest(mean_of(noisy, x), conv(x)) <= 1e-6
    assert furthest(mean_of(noisy, x), zeros(x)) > 1e-2


@pytest.mark.parametrize("kind", KINDS)
def test_float64_stays(kind: str) -> None:
    layers = [nn.Linear(3, 3), nn.Conv1d(3, 3, 1), nn.LSTM(3, 3), nn.GRU(3, 3)]
    model = nn.ModuleList([*layers, nn.TransformerEncoderLayer(4, 2, 8)]).double()
    assert {p.dtype for p in sf.convert(model, {"*": kind}).parameters()} == {torch.float64}
