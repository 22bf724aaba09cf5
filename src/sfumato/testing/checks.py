"""Small checks that end in an `AssertionError` which says what is wrong with the law."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution

from sfumato.noise import NoiseLaw, Params


def expect(holds: bool, message: str) -> None:
    """Raise an `AssertionError` unless `holds`."""
    if not holds:
        raise AssertionError(message)


def finite(what: str, values: Tensor) -> None:
    """Raise an `AssertionError` if a value is NaN or infinite."""
    expect(bool(values.isfinite().all()), f"the {what} is not finite")


def same(what: str, found: Tensor, wanted: Tensor) -> None:
    """Raise an `AssertionError` unless both are equal, to the rounding of their dtype."""
    torch.testing.assert_close(found, wanted, msg=lambda message: f"{what}: {message}")


def validated(distribution: Distribution) -> Distribution:
    """`distribution` with torch's own checks of its parameters and values switched on."""
    shapes = distribution.batch_shape, distribution.event_shape
    try:
        Distribution.__init__(distribution, *shapes, validate_args=True)
    except ValueError as error:
        raise AssertionError(f"constrain gives parameters that are not valid: {error}") from error
    return distribution


def moments(distribution: Distribution) -> tuple[Tensor, Tensor] | None:
    """Mean and standard deviation; None if the distribution does not know them."""
    try:
        return distribution.mean, distribution.stddev
    except NotImplementedError:
        return None


def entropy(of: NoiseLaw | Distribution, *params: Params) -> Tensor | None:
    """The entropy; None if it is not known."""
    try:
        return of.entropy(*params)
    except NotImplementedError:
        return None
