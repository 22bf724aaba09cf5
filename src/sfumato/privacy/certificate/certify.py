"""Inspecting an obfuscator for a guarantee."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sfumato.privacy.certificate.certificate import VACUOUS, Certificate
from sfumato.privacy.certificate.checks import check_delta, check_releases
from sfumato.privacy.certificate.epsilon import distance, reached
from sfumato.privacy.certificate.facts import Certifiable, Facts, Unproved, read_facts


def certify(
    obfuscator: Certifiable,
    *,
    delta: float = 1e-5,
    releases: int = 1,
    labels_public: bool = True,
    shape: Sequence[int] | None = None,
) -> Certificate:
    """What is proved of the releases of one record, whatever the records are.

    The scale must not depend on the record (analytic Gaussian mechanism, pure ε of Laplace noise),
    or be bounded from both sides (the Rényi route), and the location must be bounded: by the
    layer's `bound`, or by `ClipNorm` at the end of the regular layers. Neighbours are any two
    records. Elements count in units of their own scale. The parameters are taken as they are now:
    certify again after they change.

    Args:
        obfuscator: a `sfumato.Obfuscator`.
        delta: δ, well below 1 / (number of records).
        releases: K, the releases of one record that someone may hold.
        labels_public: two records of the same label must look alike; without it records of
            different labels too, so that the scale of a class is part of what leaks.
        shape: of one release, without the batch axis; needed where it is the kernels that make
            location and scale, as these take records of any length: a step more is noise more.

    Returns:
        A certificate, which may say that nothing is certified.

    Raises:
        SettingError: δ or K outside of what it may be, or `shape` does not fit.

    Example:
        >>> import sfumato as sf
        >>> sf.privacy.certify(sf.obfuscation.isotropic((1, 8, 8), 0.5)).certified
        False
    """
    check_delta(delta)
    check_releases(releases)
    releases = int(releases)
    try:
        facts = read_facts(obfuscator, shape)
        found = reached(facts, delta, releases, labels_public)
    except Unproved as unproved:
        return _refused(delta, releases, str(unproved))
    epsilon = None if math.isinf(found.epsilon) else found.epsilon
    worst = range(len(facts.low))
    return Certificate(
        certified=found.epsilon <= VACUOUS,
        epsilon=epsilon,
        delta=found.delta,
        releases=releases,
        mechanism=_mechanism(facts, found.route),
        premise=_premise(facts, releases, labels_public),
        reason=_vacuous(epsilon, delta, releases),
        diameter=max(distance(facts, (m, m), 1 + (facts.family == "Gaussian")) for m in worst),
        scale=float(facts.low.min()),
    )


def _refused(delta: float, releases: int, reason: str) -> Certificate:
    return Certificate(
        certified=False,
        epsilon=None,
        delta=delta,
        releases=releases,
        mechanism="",
        premise="",
        reason=reason,
    )


def _mechanism(facts: Facts, route: str) -> str:
    how = "does not depend on the record" if facts.constant else "depends on the record"
    return f"{facts.family} noise whose scale {how}; {route}"


def _premise(facts: Facts, releases: int, labels_public: bool) -> str:
    labels = "that share a public label" if labels_public else "of whatever labels"
    labels += ", one class for a record"
    times = "once" if releases == 1 else f"{releases} times"
    parts = [
        f"any two records {labels if facts.classes > 1 else ''}".strip(),
        facts.ground,
        *facts.unchecked,
        f"a record is released {times} in all, under one label for all of it",
        "the noise is drawn by nobody's seed and taken as real numbers",
        "not covered: the label where it is public, and the obfuscator's own parameters, which "
        "were fitted to clean records",
    ]
    if not facts.unlabelled:
        parts.append("nor obf(x), whose selection is not covered: only release(x, labels)")
    return "; ".join(part for part in parts if part)


def _vacuous(epsilon: float | None, delta: float, releases: int) -> str:
    if epsilon is None:
        return "the divergence of two releases has no bound that is finite"
    if epsilon <= VACUOUS:
        return ""
    what = "one release" if releases == 1 else f"{releases} releases"
    return (
        f"ε = {epsilon:.4g} at δ = {delta:g} for {what} is above {VACUOUS:g} and says nothing: "
        "more noise, a narrower bound or a bottleneck of fewer dimensions would lower it"
    )
