"""Whether releases follow the law that the mechanism states, and are drawn anew each time."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, Laplace, Normal

from sfumato.data.records import Records
from sfumato.privacy.attacks.moments import bare, has_covariance, known_law, mixture_of
from sfumato.privacy.audits.checks import Check
from sfumato.privacy.audits.mixed import class_scores, is_coarse, mixture_scores
from sfumato.privacy.knowledge import Mechanism, Served
from sfumato.train.seed import seeded

TIMES = 64
"""So often one batch is released."""
ALARM = 1e-6
"""The most that the probability of a false alarm may be, over all that is looked at."""

_RECORDS, _ELEMENTS, _ROWS = 32, 1 << 22, 1024
_LARGE = 512
"""From more elements than these on, a full covariance is looked at element by element alone."""
_COARSE = 1e-4
"""Noise finer than this share of the location drowns in the rounding of float32."""
_TESTS = 8
_SLACK = 2.0
"""Where noise is not Gaussian, thresholds are so many times as large."""
_STUDENT = 1.3
"""The same for scores that follow Student's law with 63 degrees of freedom."""


def law_checks(mechanism: Mechanism, records: Records, seed: int) -> list[Check]:
    """Release one batch 64 times, under its labels and as served, and hold it against the law.

    Standardised by the stated law, releases have mean 0 and variance 1 in each element, in each
    record and in all; those of two records of one call, and of one record in two calls, do not go
    together. Where the law is normal or Laplace, or ties its elements by a covariance, noise is
    turned into standard normal variates, of which every probability is known: a false alarm has
    less than 1e-6. So is a mixture of such laws, each element given those before it, and the class
    that was drawn. Of another law the moments alone are known: sums of its squares are compared
    with draws of the law itself, nearly normal, at twice the thresholds.

    A mechanism that states no law is looked at for noise that records share and for draws that
    are fixed.
    """
    found = _of(mechanism, "releases", records, seed)
    served = served_of(mechanism)
    if served is not None:
        found += _of(served, "served releases", records, seed)
    return found


def served_of(mechanism: Any) -> Served | None:
    """The mechanism as it serves records of unknown label; None where it does not."""
    learned = getattr(mechanism, "selection", None) is not None
    return Served(mechanism) if learned and callable(mechanism) else None


@torch.no_grad()
def _of(mechanism: Mechanism, what: str, records: Records, seed: int) -> list[Check]:
    count = max(2, min(_RECORDS, _ELEMENTS // (TIMES * max(1, records.inputs[0].numel()))))
    order = torch.linspace(0, len(records) - 1, min(count, len(records))).long().unique()
    x, labels = records.inputs[order], records.labels[order]
    with seeded(seed, "stated law", what):
        seen = torch.stack([mechanism.release(x, labels).flatten(1).double() for _ in range(TIMES)])
        law = known_law(mechanism, x, labels)
        if law is None:
            return _of_mixture(mechanism, x, labels, seen, what)
        if not _same(law, known_law(mechanism, x, labels)):
            return [_check(False, what, _ANOTHER, "")]
        z, exact = _standard(law, seen)
        own, _ = _standard(law, _drawn(law, seen)) if not exact else (z, True)
    if z.shape[2] == 0:
        wrong = "the stated law has noise finer than rounding, and theirs is not"
        return [_check(_fine(law, seen), what, wrong, "follow the stated law to rounding")]
    wide = exact is None
    if wide:  # tied elements: each is looked at alone
        return [_moments_alone(z, what), *_untold(z, what)]
    return [_moments(z, own, exact, what), *_together(z, exact, what)]


def _of_mixture(
    mechanism: Mechanism, x: Tensor, labels: Tensor, seen: Tensor, what: str
) -> list[Check]:
    """A mixture ties the elements of a release, and says how; of other laws nothing is known."""
    law = mixture_of(mechanism, x, labels)
    if law is None or not is_coarse(law):
        return _untold(seen, what)
    if not _same(law, mixture_of(mechanism, x, labels)):
        return [_check(False, what, _ANOTHER, "")]
    z, drawn = mixture_scores(law, seen), class_scores(law, seen)
    calls = (drawn.sum((1, 2)) / drawn.shape[1] ** 0.5).square().sum().reshape(1)
    apart = _over(_chi(calls, TIMES)) <= 1
    found = [_moments(z, z, True, what), _moments(drawn, drawn, True, f"classes of {what}")]
    found.append(_check(apart, f"classes of {what}", _SHARED, "of one call are drawn apart"))
    return [*found, *_together(z, True, what)]


def _standard(law: Distribution, seen: Tensor) -> tuple[Tensor, bool | None]:
    """Releases `[R, B, e]` in units of the stated noise, and whether they must be normal.

    None in place of the latter where elements are tied and were left so. Elements whose noise is
    finer than rounding are left out.
    """
    law = bare(law)
    shape = seen.shape[1:]
    mean, std = (v.reshape(shape).double() for v in (law.mean, law.stddev))
    if has_covariance(law):
        if shape[1] > _LARGE:
            return (seen - mean) / std.clamp(min=1e-300), None
        matrix: Tensor = law.covariance_matrix.double()  # type: ignore[attr-defined]
        root = torch.linalg.cholesky(matrix.reshape(-1, *matrix.shape[-2:]))
        off = (seen - mean).reshape(TIMES, len(root), -1, 1)
        return torch.linalg.solve_triangular(root, off, upper=False).reshape(seen.shape), True
    kept = (std > _COARSE * mean.abs()).all(0)
    z = ((seen - mean) / std.clamp(min=1e-300))[:, :, kept]
    if isinstance(law, Laplace):  # by the quantiles: Laplace -> normal
        tail = 0.5 * torch.exp(-math.sqrt(2) * z.abs())
        return -z.sign() * torch.special.ndtri(tail.clamp(min=1e-300)), True
    return z, isinstance(law, Normal)


def _same(law: Distribution, again: Distribution | None) -> bool:
    return again is not None and all(
        torch.allclose(one, other)
        for one, other in ((law.mean, again.mean), (law.variance, again.variance))
    )


def _drawn(law: Distribution, seen: Tensor) -> Tensor:
    """As many draws of the stated law itself."""
    return bare(law).sample((TIMES,)).reshape(seen.shape).double()


def _fine(law: Distribution, seen: Tensor) -> bool:
    """Whether noise finer than rounding is at least no larger than it is said to be."""
    law = bare(law)
    mean, std = (v.reshape(seen.shape[1:]).double() for v in (law.mean, law.stddev))
    return bool(((seen - mean).abs() <= 10 * std + 1e-5 * mean.abs()).all())


def _moments(z: Tensor, own: Tensor, exact: bool | None, what: str) -> Check:
    """Mean and variance, of each element, each record and all."""
    if exact:
        offs = _mean_offs(z), _variance_offs(z)
    else:
        offs = _mean_offs(z) / _SLACK, _compared(z, own)
    return _judged(offs, z, what)


def _moments_alone(z: Tensor, what: str) -> Check:
    square = z.square().sum(0)
    return _judged((_over(z.sum(0) / TIMES**0.5), _over(_chi(square, TIMES))), z, what)


def _judged(offs: tuple[float, float], z: Tensor, what: str) -> Check:
    size = float(z.square().mean().sqrt())
    words = f"the stated law is not theirs, deviations have {size:.3g} of the stated scale"
    if 0.9 < size < 1.1:
        words = "the stated law is not theirs, mean or variance of some are others"
    return _check(max(offs) <= 1, what, words, "follow the stated law")


def _mean_offs(z: Tensor) -> float:
    """By how much of its threshold the largest mean is off; above 1 is an alarm."""
    found = []
    for sums, count in ((z.sum(0), TIMES), (z.sum((0, 2)), TIMES * z.shape[2]), _all(z)):
        found.append(_over(sums / count**0.5))
    return max(found)


def _variance_offs(z: Tensor) -> float:
    square = z.square()
    several = (square.sum(0), TIMES), (square.sum((0, 2)), TIMES * z.shape[2]), _all(square)
    return max(_over(_chi(sums, count)) for sums, count in several)


def _all(z: Tensor) -> tuple[Tensor, int]:
    return z.sum().reshape(1), z.numel()


def _compared(z: Tensor, own: Tensor) -> float:
    """Sums of squares of each record and of all, beside those of draws of the stated law."""
    found = []
    first, second = z.square(), own.square()
    for over, count in (((0, 2), TIMES * z.shape[2]), ((0, 1, 2), z.numel())):
        gap = first.mean(over) - second.mean(over)
        spread = torch.maximum(first.var(over), second.var(over))
        found.append(_over((gap / (2 * spread / count + 1e-24).sqrt()).reshape(-1)))
    return max(found) / _SLACK


def _together(z: Tensor, exact: bool | None, what: str) -> list[Check]:
    """Records of one call, calls of one record, and any two rows."""
    units = z / z.square().sum((0, 2), keepdim=True).sqrt().clamp(min=1e-300)
    shared = torch.einsum("rbe,rce->bc", units, z)  # given one row, the other's part is normal
    shared.fill_diagonal_(0)
    units = z / z.square().sum((1, 2), keepdim=True).sqrt().clamp(min=1e-300)
    again = torch.einsum("rbe,sbe->rs", units, z)
    again.fill_diagonal_(0)
    wide = 1.0 if exact else _SLACK
    if max(_over(shared), _over(again)) / wide > 1:
        return _why(z, what)
    found = [_check(True, what, "", "of one call and of two go apart")]
    if exact:
        rows = z.flatten(0, 1)[:_ROWS]
        each = rows / rows.square().sum(1, keepdim=True).sqrt().clamp(min=1e-300) @ rows.T
        each.fill_diagonal_(0)
        found.append(_check(_over(each) <= 1, what, _ANY, "of any two draws go apart"))
    return found


def _why(z: Tensor, what: str) -> list[Check]:
    """Which of them go together: records, calls, or the elements of a release."""
    found = [] if _apart(z) else [_check(False, what, _SHARED, "")]
    if _over(z.sum(0) / TIMES**0.5) > 1:
        found.append(_check(False, what, _AGAIN, ""))
    return found or [_check(False, what, _ANY, "")]


_ANOTHER = "the law that is stated is another at each call"
_SHARED = "records of one call share their noise, so that one release subtracts from another"
_AGAIN = "two calls share their noise: the draw is fixed"
_ANY = (
    "draws go together: noise comes from a pool, or ties the elements of a release, which the "
    "stated law does not say"
)


def _untold(seen: Tensor, what: str) -> list[Check]:
    """Without a law: noise is what calls differ by; the same pair must not go together always."""
    noise = seen - seen.mean(0)
    fixed = bool((noise.square().sum((0, 2)) <= 1e-24 * (1 + seen.square().sum((0, 2)))).any())
    if fixed:
        return [_check(False, what, _AGAIN, "")]
    return [_check(_apart(noise), what, _SHARED, "of records of one call go apart")]


def _apart(noise: Tensor) -> bool:
    """Whether no two records of one call go together over the calls, whatever the law."""
    products = torch.einsum("rbe,rce->rbc", noise, noise)
    scores = products.mean(0) / (products.var(0) / TIMES).sqrt().clamp(min=1e-300)
    scores.fill_diagonal_(0)
    return _over(scores) / _STUDENT <= 1


def _chi(sums: Tensor, freedom: int) -> Tensor:
    """Sums of squares as standard normal variates (Wilson and Hilferty, 1931)."""
    part = 2 / (9 * freedom)
    return ((sums / freedom) ** (1 / 3) - (1 - part)) / part**0.5


def _over(scores: Tensor) -> float:
    """The largest of standard normal scores, in units of its threshold."""
    tail = ALARM / _TESTS / 2 / max(scores.numel(), 1) / 2
    threshold = -float(torch.special.ndtri(torch.tensor(tail, dtype=torch.float64)))
    return float(scores.abs().max()) / threshold


def _check(passed: bool, what: str, wrong: str, right: str) -> Check:
    if passed:
        return Check("stated law", True, f"{what} {right}")
    return Check("stated law", False, f"{what}: {wrong}")
