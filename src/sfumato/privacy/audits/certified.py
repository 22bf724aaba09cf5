"""The certificate of each K, or its absence in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sfumato.errors import SfumatoError
from sfumato.privacy.audits.plan import AuditPlan
from sfumato.privacy.audits.rows import Certified
from sfumato.privacy.certificate import certify


def certificates(mechanism: Any, plan: AuditPlan, shape: Sequence[int]) -> tuple[Certified, ...]:
    """One entry for each K of the plan; `shape` is that of one release."""
    return tuple(_of(mechanism, plan.delta, count, shape) for count in plan.releases)


def _of(mechanism: Any, delta: float, releases: int, shape: Sequence[int]) -> Certified:
    try:
        found = certify(mechanism, delta=delta, releases=releases, shape=tuple(shape))
    except (SfumatoError, AttributeError) as error:
        words = f"Not certified: {' '.join(str(error).split())}"
        return Certified(releases, False, None, delta, words)
    epsilon = found.epsilon if found.certified else None
    return Certified(releases, found.certified, epsilon, delta, found.words)
