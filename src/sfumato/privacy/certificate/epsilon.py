"""From facts to ε: which mechanism is the worst, and by which route."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import final

import torch
from torch import Tensor

from sfumato.privacy.certificate.facts import Facts, Unproved
from sfumato.privacy.certificate.gaussian import gaussian_epsilon
from sfumato.privacy.certificate.laplace import laplace_epsilon
from sfumato.privacy.certificate.renyi import renyi_epsilon

_WORTH = 0.9992
"""A smaller ε at a δ above 0 is not worth giving up a pure one for less than this."""

Pair = tuple[int, int]


@final
@dataclass(frozen=True)
class Reached:
    """An ε, the δ it holds at, and how it was found."""

    epsilon: float
    delta: float
    route: str


def reached(facts: Facts, delta: float, releases: int, labels_public: bool) -> Reached:
    """The smallest ε of all routes that apply.

    Raises:
        Unproved: none applies.
    """
    pairs = list(_pairs(facts, labels_public))
    same = all(torch.equal(facts.low[i], facts.low[j]) for i, j in pairs) and facts.constant
    if facts.family == "Laplace":
        return _laplace(facts, pairs, same, delta, releases)
    if same:
        mu = max(whitened(facts, pair) for pair in pairs)
        epsilon = gaussian_epsilon(mu, 1.0, delta, releases)
        return Reached(epsilon, delta, "analytic Gaussian mechanism")
    ways = [*pairs, *((j, i) for i, j in pairs if i != j)]
    epsilon = renyi_epsilon(partial(_renyi, facts, ways, releases), delta)
    return Reached(epsilon, delta, "Rényi divergence of Gaussians whose scales differ")


def distance(facts: Facts, pair: Pair, order: int) -> float:
    """How far apart two locations can be: the sum of absolute (1) or squared (2) differences."""
    return _whitened(facts, pair, torch.ones_like(facts.low[0]), order)


def whitened(facts: Facts, pair: Pair, order: int = 2) -> float:
    """The same, with every element in units of its scale."""
    return _whitened(facts, pair, facts.low[pair[0]], order)


def _whitened(facts: Facts, pair: Pair, scale: Tensor, order: int) -> float:
    limits = []
    if facts.box is not None:
        limits.append(float((facts.box / scale).norm(order)))
    ball = _ball(facts, pair)
    if ball is not None:
        # In a ball the worst is all in one element (2), or in proportion to 1 / scale (1).
        worst = float((1 / scale).norm()) if order == 1 else 1 / float(scale.min())
        limits.append(ball * worst)
    return min(limits)


def _pairs(facts: Facts, labels_public: bool) -> Iterator[Pair]:
    """Which mechanisms two records that must look alike can have gone through."""
    yield from ((i, i) for i in range(len(facts.low)))
    if not labels_public:
        yield from ((i, j) for i in range(facts.classes) for j in range(i))


def _ball(facts: Facts, pair: Pair) -> float | None:
    if facts.radius is None:
        return None
    i, j = pair
    apart = 0.0 if i == j else float((facts.centre[i] - facts.centre[j]).norm())
    return float(facts.radius[i] + facts.radius[j]) + apart


def _laplace(facts: Facts, pairs: list[Pair], same: bool, delta: float, releases: int) -> Reached:
    if not same:
        why = "depends on the record" if not facts.constant else "tells the label"
        raise Unproved(f"a Laplace scale that {why} has no ε: the ratio of densities is unbounded")
    pure = laplace_epsilon(max(whitened(facts, pair, 1) for pair in pairs), 1.0, releases)
    mixed = renyi_epsilon(partial(_laplace_renyi, facts, pairs, releases), delta)
    if mixed < _WORTH * pure:
        return Reached(mixed, delta, f"Rényi divergence of Laplace laws; pure ε = {pure:.3g}")
    return Reached(pure, 0.0, "Laplace mechanism, pure ε")


def _laplace_renyi(facts: Facts, pairs: list[Pair], releases: int, order: float) -> float:
    """As `laplace_renyi` in every element; in a ball α r² / 2, as a pure ε of r has at most."""
    worst = 0.0
    for pair in pairs:
        limits = [order / 2 * whitened(facts, pair) ** 2]
        if facts.box is not None:
            r = facts.box / facts.low[pair[0]]
            rest = (order - 1) / (2 * order - 1) * torch.expm1(-(2 * order - 1) * r)
            limits.append(float((r + torch.log1p(rest) / (order - 1)).sum()))
        worst = max(worst, min(limits))
    return releases * worst


def _renyi(facts: Facts, ways: list[Pair], releases: int, order: float) -> float:
    return releases * max(_divergence(facts, way, order) for way in ways)


def _divergence(facts: Facts, way: Pair, order: float) -> float:
    """`renyi_gaussian` element by element, from mechanism i to mechanism j."""
    i, j = way
    first, last = facts.high[i], facts.low[j]
    left = 1 - (order - 1) * _excess(first, last)
    if not bool((left > 0).all()):
        return math.inf
    spread = last * left.sqrt()
    limits = []
    if facts.box is not None:
        limits.append(float((facts.box / spread).square().sum()))
    ball = _ball(facts, way)
    if ball is not None:
        limits.append((ball / float(spread.min())) ** 2)
    # The scales' own part is largest at one end: as far above 1 or as far below as t can be.
    own = torch.maximum(_own(order, first, last), _own(order, facts.low[i], facts.high[j]))
    return order / 2 * min(limits) + float(own.sum())


def _own(order: float, first: Tensor, last: Tensor) -> Tensor:
    excess = _excess(first, last)
    parts = torch.log1p(-(order - 1) * excess) + (order - 1) * torch.log1p(excess)
    return (parts / (2 * (1 - order))).clamp(min=0)


def _excess(first: Tensor, last: Tensor) -> Tensor:
    """first² / last² - 1."""
    ratio = first / last
    return (ratio - 1) * (ratio + 1)
