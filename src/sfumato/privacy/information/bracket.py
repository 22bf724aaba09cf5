"""The bracket: an upper and a lower bound on the mutual information of record and release."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from sfumato.data.records import Records
from sfumato.errors import DataError
from sfumato.privacy.attacks.densities import has_density
from sfumato.privacy.attacks.fresh import is_gaussian
from sfumato.privacy.attacks.moments import known_law
from sfumato.privacy.information.critic import Critic, CriticSettings
from sfumato.privacy.information.gaussian import gaussian_bounds
from sfumato.privacy.information.kernels import kernel_bounds
from sfumato.privacy.information.laws import continuous_law, laws_of
from sfumato.privacy.knowledge import Mechanism
from sfumato.train.seed import generator, seeded

_PAIRS = 500_000_000
"""Comparisons (elements x releases x records) of a law that is not Gaussian."""


@final
@dataclass(frozen=True)
class Bound:
    """One bound, in nats.

    Args:
        value: the mean over the attacked records.
        error: its standard error.
        ceiling: the most that the estimator can return, for a lower bound; else infinity.
    """

    value: float
    error: float
    ceiling: float = math.inf


@final
@dataclass(frozen=True)
class Bracket:
    """What one release tells of its record, in nats: between `lower` and `upper`.

    Every bound holds in expectation over records and draws; its standard error says how far these
    records may be off. Where `lower` comes near `lower_ceiling` the estimator is at its end and the
    information may be anything above.

    Args:
        lower: the largest of the lower bounds (by value - 2 errors), at least 0.
        lower_error: its standard error.
        lower_ceiling: the most it could have been: the logarithm of the records told apart.
        upper: the least of the upper bounds (by value + 2 errors); infinity where there is none.
        upper_error: its standard error.
        n: attacked records.
        d: elements of a release.
        given_label: whether this is the information beyond the label, I(x; y | c), or all, I(x; y).
        bounds: each by name.
    """

    lower: float
    lower_error: float
    lower_ceiling: float
    upper: float
    upper_error: float
    n: int
    d: int
    given_label: bool
    bounds: dict[str, Bound] = field(default_factory=dict)


def mutual_information(
    mechanism: Mechanism,
    auxiliary: Records,
    target: Records,
    *,
    given_label: bool = True,
    critic: CriticSettings | None = None,
    seed: int = 0,
) -> Bracket:
    """Bracket the information that one fresh release of a record of `target` carries.

    Upper bounds: "gaussian full" and "gaussian diagonal", the Gaussian maximum-entropy bound
    ½ log det Cov(y) - E Σ log s(x), fitted on `auxiliary` and evaluated on `target`; "mixture",
    the density of the releases of `auxiliary`, tight where noise is strong. Lower bounds:
    "density", InfoNCE with the mechanism's own density as its critic; "critic", InfoNCE with a
    network. There is no upper bound where the law of a release is not known, has no entropy in
    closed form, or is discrete.

    Args:
        mechanism: what makes the releases.
        auxiliary: records from which densities and critic are made.
        target: other records of the same distribution, on which all bounds are evaluated.
        given_label: I(x; y | c), beyond the public label; or I(x; y), the label's part included.
        critic: the budget of the network.
        seed: of draws, critic and splits.

    Raises:
        DataError: fewer than two records, or record shapes differ.

    Example:
        >>> from sfumato.privacy.attacks import toy_scene
        >>> scene = toy_scene((6,), sigma=1.0)
        >>> bracket = mutual_information(scene.mechanism, scene.auxiliary, scene.target)
        >>> 0.5 < bracket.lower < bracket.upper < 5
        True
    """
    if min(len(auxiliary), len(target)) < 2 or auxiliary.shape != target.shape:
        raise DataError(
            "mutual information needs at least two auxiliary records and two of the same shape to "
            f"attack, not {len(auxiliary)} {list(auxiliary.shape)} and {len(target)} "
            f"{list(target.shape)}"
        )
    with seeded(seed, "information"), torch.no_grad():
        seen = mechanism.release(target.inputs, target.labels)
        uppers, lowers = _from_laws(mechanism, auxiliary, target, seen, given_label, seed)
        settings = critic or CriticSettings()
        if settings.steps:
            learned = Critic(mechanism, auxiliary, settings, given_label=given_label, seed=seed)
            values, ceiling = learned.bounds(target, seen)
            lowers["critic"] = _bound(values, ceiling)
    # By the pessimistic end of each: the least of several noisy means would lie too low.
    lower = max(lowers.values(), key=lambda b: b.value - 2 * b.error, default=Bound(0, 0, 0))
    upper = min(uppers.values(), key=lambda b: b.value + 2 * b.error, default=Bound(math.inf, 0))
    return Bracket(
        lower=max(0.0, lower.value),
        lower_error=lower.error,
        lower_ceiling=lower.ceiling,
        upper=max(0.0, upper.value),
        upper_error=upper.error,
        n=len(target),
        d=seen[0].numel(),
        given_label=given_label,
        bounds={**uppers, **lowers},
    )


def _from_laws(
    mechanism: Mechanism,
    known: Records,
    target: Records,
    seen: Tensor,
    given_label: bool,
    seed: int,
) -> tuple[dict[str, Bound], dict[str, Bound]]:
    uppers: dict[str, Bound] = {}
    lowers: dict[str, Bound] = {}
    law = continuous_law(mechanism, known)
    if law is not None:
        classes = max(known.num_classes, target.num_classes)
        own, attacked = laws_of(mechanism, known, target)
        found = gaussian_bounds(own, attacked, classes, given_label=given_label, seed=seed)
        uppers |= {f"gaussian {name}": _bound(values) for name, values in found.items()}
    labels = known.labels.unique().tolist()
    if all(has_density(mechanism, known.inputs[known.labels == c], c) for c in labels):
        known, target, seen = _affordable(mechanism, known, target, seen, given_label, seed)
        lower, upper, ceiling = kernel_bounds(
            mechanism, known, target, seen, given_label=given_label
        )
        lowers["density"] = _bound(lower, ceiling)
        if bool(torch.isfinite(upper).all()):
            uppers["mixture"] = _bound(upper)
    return uppers, lowers


def _affordable(
    mechanism: Mechanism,
    known: Records,
    target: Records,
    seen: Tensor,
    given_label: bool,
    seed: int,
) -> tuple[Records, Records, Tensor]:
    """Fewer records, drawn at random, where every pair is compared element by element."""
    law = known_law(mechanism, known.inputs[:1], known.labels[:1])
    pairs = len(known) * len(target) * seen[0].numel() / (known.num_classes if given_label else 1)
    share = min(1.0, (_PAIRS / max(pairs, 1)) ** 0.5)
    if share == 1 or (law is not None and is_gaussian(law)):
        return known, target, seen
    order = generator(seed, "information", "pairs")
    rows, others = (
        torch.randperm(len(r), generator=order)[: max(2, int(share * len(r)))]
        for r in (known, target)
    )
    return known.subset(rows), target.subset(others), seen[others]


def _bound(values: Tensor, ceiling: Tensor | None = None) -> Bound:
    error = float(values.std() / math.sqrt(len(values))) if len(values) > 1 else math.inf
    return Bound(
        float(values.mean()), error, math.inf if ceiling is None else float(ceiling.mean())
    )
