"""Bayesian fully connected and convolutional layers (spec 1 §1.1.2 and §1.2.2)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from sfumato import nn as layers
from sfumato.bench import ours, peers
from sfumato.bench.case import Candidate, Case, Reach, Setting, simple
from sfumato.bench.floors import WithDraws

ESTIMATORS = ("auto", "reparameterization", "local", "flipout")
LINEAR = {"peer": "4.3 torchbnn, 5.1 bayesian-torch; 20 MiB", "prototype": "2.4; 12 MiB"}
CONV = {"peer": "1.02 bayesian-torch, torchbnn", "prototype": "1.02"}


def cases(setting: Setting) -> list[Case]:
    """Linear with KL; the batch sweep; Conv2d."""
    batch = setting.pick(128, 4)
    sizes = (1, 4) if setting.quick else (1, 8, 32, 128, 512)
    return [
        linear(setting, batch, "train + KL"),
        *(linear(setting, size, "train") for size in sizes),
        *(linear(setting, size, "inference") for size in sizes),
        conv(setting, "train"),
        conv(setting, "train + KL"),
    ]


def linear(setting: Setting, batch: int, what: str) -> Case:
    """Fully connected; `what` is "train + KL", "train" or "inference"."""
    n, kl = setting.pick(1024, 16), what == "train + KL"
    plain = partial(nn.Linear, n, n)
    return Case(
        f"Bayesian Linear {n}->{n}, batch {batch}, {what}",
        lambda: setting.records(batch, n),
        (
            simple("nn.Linear", "plain", plain),
            simple(f"nn.Linear + {n * n} normals", "floor", lambda: WithDraws(plain(), n * n)),
            *peers.linear(n, kl=kl),
            *_ours(partial(layers.BayesianLinear, n, n), kl),
        ),
        train=what != "inference",
        reach=Reach(2.4, saved_mib=8.0) if kl else None,
        known=LINEAR if kl else None,
    )


def conv(setting: Setting, what: str) -> Case:
    """A convolution; `what` is "train + KL" or "train"."""
    n, side, batch = setting.pick(64, 4), setting.pick(32, 4), setting.pick(32, 2)
    kl = what == "train + KL"
    plain = partial(nn.Conv2d, n, n, 3, padding=1)
    return Case(
        f"Bayesian Conv2d {n}->{n} 3x3, {side}x{side}, batch {batch}, {what}",
        lambda: setting.records(batch, n, side, side),
        (
            simple("nn.Conv2d", "plain", plain),
            simple(
                f"nn.Conv2d + {9 * n * n} normals", "floor", lambda: WithDraws(plain(), 9 * n * n)
            ),
            *peers.conv(n, kl=kl),
            *_ours(partial(layers.BayesianConv2d, n, n, 3, padding=1), kl),
        ),
        reach=Reach(1.03),
        known=CONV,
    )


def _ours(layer: Callable[..., nn.Module], kl: bool) -> list[Candidate]:
    made: list[Candidate] = []
    for estimator in ESTIMATORS:
        asked = estimator == "auto"  # what a user gets who says nothing
        made += ours.bayesian(estimator, partial(layer, estimator=estimator), kl=kl, asked=asked)
    return made
