"""What the squares of a release tell: a scale that depends on the record shows through them."""

from __future__ import annotations

from torch import Tensor
from torch.distributions import Distribution, Laplace, Normal

from sfumato.errors import DataError
from sfumato.objectives.moments import bare
from sfumato.objectives.within import within_class

KURTOSIS = {Normal: 3.0, Laplace: 6.0}


def tells_by_scale(law: Distribution, labels: Tensor | None) -> bool:
    """Whether the scale of a symmetric law differs between records of one class."""
    inner = bare(law)
    if type(inner) not in KURTOSIS:
        return False
    variance = inner.variance.detach().flatten(1).double()
    apart = within_class(variance, labels).abs().amax()
    return bool(apart > 1e-6 * variance.amax())


def squares(
    law: Distribution, y: Tensor, labels: Tensor | None, ridge: float
) -> tuple[Tensor, Tensor]:
    """Deviations of release and squared release, in units of their noise, uncorrelated in pairs.

    With d = release - class mean, m = E[d | x] and scale s, the squares have E[d² | x] = m² + s²,
    Var[d² | x] = (κ - 1) s⁴ + 4 m² s² and Cov[d, d² | x] = 2 m s², where κ = 3 for the Gaussian and
    6 for the Laplace law.

    Args:
        law: of the releases, with independent elements.
        y: m, `[N, d]`, float64.
        labels: `[N]`, or None for one class.
        ridge: is added to both variances, as a share of their mean.

    Returns:
        Two of `[N, d]`: a decoder that is linear in both meets noise of unit covariance.

    Raises:
        DataError: a law of another family.
    """
    inner = bare(law)
    if type(inner) not in KURTOSIS:
        raise DataError(
            f"what the squares of a release tell is known for Gaussian and Laplace noise, not for "
            f"{type(inner).__name__}: use scales=False"
        )
    variance = inner.variance.reshape(y.shape).double()
    excess = KURTOSIS[type(inner)] - 1
    first = variance.mean(0)
    first = first + ridge * first.mean()
    second = (excess * variance.square() + 4 * y.square() * variance).mean(0)
    second = second + ridge * second.mean()
    slope = (2 * y * variance).mean(0) / first
    # Without its part along the first, a square's noise is as large as this.
    rest = second - slope.square() * first
    energy = within_class(y.square() + variance, labels)
    return y / first.sqrt(), (energy - slope * y) / rest.clamp(min=1e-30).sqrt()
