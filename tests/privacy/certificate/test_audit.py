"""A hypothesis test on a real obfuscator's releases: the certificate holds, and can be broken."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats
from torch import nn

import sfumato as sf
from sfumato.obfuscation import bottleneck, calibrate
from sfumato.privacy import certify

DRAWS, DELTA, LEVEL = 300_000, 1e-5, 1e-7


def measured_epsilon(obfuscator: sf.Obfuscator, laplace: bool) -> float:
    """A lower bound on ε from releases of two records that lie at opposite ends of the ball.

    P(S | x) ≤ e^ε P(S | x') + δ for S = {release · direction > t}. Both probabilities come with
    Clopper-Pearson limits at 1 - 1e-7, and there are eight thresholds: a bound above the true ε
    has a probability of at most 2e-6 (n = 300,000 releases of each record).
    """
    one = torch.zeros(1, 4)
    one[0, :1] = 9.0
    if laplace:
        one[0] = 9.0  # the diagonal is the farthest in absolute differences
    labels = torch.zeros(DRAWS).long()
    scores = [
        obfuscator.release(x.expand(DRAWS, -1), labels) @ one[0] / one.norm() for x in (one, -one)
    ]
    best = 0.0
    for threshold in torch.linspace(-1, 1, 8):
        place = float(threshold) * 3 * float(scores[1].std())
        hits, misses = (int((s > place).sum()) for s in scores)
        low = stats.beta.ppf(LEVEL, hits, DRAWS - hits + 1) if hits else 0.0
        high = stats.beta.ppf(1 - LEVEL, misses + 1, DRAWS - misses) if misses < DRAWS else 1.0
        if low > DELTA:
            best = max(best, math.log((low - DELTA) / high))
    return best


def halved(obfuscator: sf.Obfuscator) -> None:
    layer = obfuscator.layer
    assert isinstance(layer, sf.nn.ConditionalAdditiveNoise)
    scale = sf.noise.Gaussian().constrain((layer.weight[:, 1],) * 2)[1] / 2 - 1e-3
    with torch.no_grad():
        layer.weight[:, 1] = scale + torch.log(-torch.expm1(-scale))


@pytest.mark.parametrize("law", [sf.noise.Gaussian(), sf.noise.Laplace()])
def test_the_certificate_holds_and_the_test_can_fail(law: sf.noise.LocationScale) -> None:
    laplace = isinstance(law, sf.noise.Laplace)
    made = bottleneck((4,), 4, 1.0, num_classes=2, encoder=nn.Identity(), noise=law)
    stated = calibrate(made, 1.0, DELTA)
    assert certify(made, delta=DELTA).epsilon == stated
    assert measured_epsilon(made, laplace) <= stated
    halved(made)
    assert measured_epsilon(made, laplace) > stated
