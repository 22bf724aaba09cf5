"""The figures that a guarantee is made of, checked before use."""

from __future__ import annotations

from numbers import Integral

from sfumato.errors import SettingError


def check_delta(delta: float) -> None:
    """Raise a `SettingError` unless 0 < δ < 1."""
    if not 0 < delta < 1:
        raise SettingError(
            f"delta must lie between 0 and 1, not {delta}: it is the probability that the "
            "guarantee fails, well below 1 / (number of records)"
        )


def check_epsilon(epsilon: float) -> None:
    """Raise a `SettingError` unless 0 < ε < ∞."""
    if not 0 < epsilon < float("inf"):
        raise SettingError(f"epsilon must be above 0 and finite, not {epsilon}")


def check_diameter(diameter: float) -> None:
    """Raise a `SettingError` unless the diameter is 0 or more."""
    if not diameter >= 0:
        raise SettingError(f"a diameter must be 0 or more, not {diameter}")


def check_scale(**scales: float) -> None:
    """Raise a `SettingError` that names the first scale that is not above 0."""
    for name, scale in scales.items():
        if not scale > 0:
            raise SettingError(f"{name} must be above 0, not {scale}: without noise nothing holds")


def check_releases(releases: int) -> None:
    """Raise a `SettingError` unless the number of releases is a whole number of at least 1.

    NumPy's whole numbers count too.
    """
    if not isinstance(releases, Integral) or isinstance(releases, bool) or releases < 1:
        raise SettingError(f"releases must be a whole number of at least 1, not {releases!r}")


def check_order(order: float) -> None:
    """Raise a `SettingError` unless the order of a Rényi divergence is above 1."""
    if not 1 < order < float("inf"):
        raise SettingError(f"the order of a Rényi divergence must be above 1, not {order}")
