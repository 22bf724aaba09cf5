"""Layers whose activation is sampled (spec 1 §1.1.1 and §1.2.1)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from sfumato import nn as layers
from sfumato.bench import peers
from sfumato.bench.case import Candidate, Case, Model, Reach, Setting, simple
from sfumato.bench.floors import NaiveNoise
from sfumato.noise import Gaussian, Laplace

LAWS = (Gaussian(), Laplace())
LINEAR = {"peer": "2.39 torch-uncertainty", "prototype": "2.35"}
CONV = {"peer": "2.66 torch-uncertainty; 32 MiB", "prototype": "2.3; 8 MiB"}


def cases(setting: Setting) -> list[Case]:
    """Linear and Conv2d: training against a layer of twice the outputs, and the mean."""
    return [linear(setting), conv(setting), _linear_mean(setting), _conv_mean(setting)]


def linear(setting: Setting) -> Case:
    """Fully connected, training."""
    n, batch = _linear_size(setting)
    double = "nn.Linear of twice the outputs"
    return Case(
        f"stochastic Linear {n}->{n}, batch {batch}, train",
        lambda: setting.records(batch, n),
        (
            simple("nn.Linear", "plain", partial(nn.Linear, n, n)),
            simple(double, "floor", partial(nn.Linear, n, 2 * n)),
            simple(
                "chunk, softplus, addcmul", "naive", lambda: NaiveNoise(nn.Linear(n, 2 * n), -1)
            ),
            peers.stochastic("NormalLinear", nn.Linear, n, in_features=n),
            *_ours(partial(layers.StochasticLinear, n, n)),
        ),
        reach=Reach(1.1, of=double),
        known=LINEAR,
    )


def conv(setting: Setting) -> Case:
    """A convolution, training."""
    n, side, batch = _conv_size(setting)
    double = "nn.Conv2d of twice the outputs"
    plain = partial(nn.Conv2d, n, kernel_size=3, padding=1)
    return Case(
        f"stochastic Conv2d {n}->{n} 3x3, {side}x{side}, batch {batch}, train",
        lambda: setting.records(batch, n, side, side),
        (
            simple("nn.Conv2d", "plain", lambda: plain(out_channels=n)),
            simple(double, "floor", lambda: plain(out_channels=2 * n)),
            simple(
                "chunk, softplus, addcmul",
                "naive",
                lambda: NaiveNoise(plain(out_channels=2 * n), 1),
            ),
            peers.stochastic("NormalConvNd", nn.Conv2d, n, in_channels=n, kernel_size=3, padding=1),
            *_ours(partial(layers.StochasticConv2d, n, n, 3, padding=1)),
        ),
        reach=Reach(1.1, of=double, saved_mib=8.0),
        known=CONV,
    )


def _linear_mean(setting: Setting) -> Case:
    n, batch = _linear_size(setting)
    return Case(
        f"stochastic Linear {n}->{n}, batch {batch}, inference on the mean",
        lambda: setting.records(batch, n),
        (
            simple("nn.Linear", "plain", partial(nn.Linear, n, n)),
            Candidate("StochasticLinear", "ours", lambda: _mean(layers.StochasticLinear(n, n))),
        ),
        train=False,
    )


def _conv_mean(setting: Setting) -> Case:
    n, side, batch = _conv_size(setting)
    return Case(
        f"stochastic Conv2d {n}->{n} 3x3, {side}x{side}, batch {batch}, inference on the mean",
        lambda: setting.records(batch, n, side, side),
        (
            simple("nn.Conv2d", "plain", partial(nn.Conv2d, n, n, 3, padding=1)),
            Candidate(
                "StochasticConv2d",
                "ours",
                lambda: _mean(layers.StochasticConv2d(n, n, 3, padding=1)),
            ),
        ),
        train=False,
    )


def _ours(layer: Callable[..., nn.Module]) -> list[Candidate]:
    return [simple(type(law).__name__, "ours", partial(layer, noise=law)) for law in LAWS]


def _mean(layer: layers.StochasticModule) -> Model:
    layer.mode = "mean"  # as inside `sf.sampling`, for as long as the layer lives
    return Model(layer, layer)


def _linear_size(setting: Setting) -> tuple[int, int]:
    return setting.pick(1024, 16), setting.pick(128, 4)


def _conv_size(setting: Setting) -> tuple[int, int, int]:
    return setting.pick(64, 4), setting.pick(32, 4), setting.pick(32, 2)
