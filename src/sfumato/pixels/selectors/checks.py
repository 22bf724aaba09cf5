"""Checks of settings that several selectors share."""

from __future__ import annotations

import math

from sfumato.errors import SettingError


def check_temperature(temperature: float) -> float:
    """The temperature, if it is one.

    Raises:
        SettingError: it is not above 0 and finite.
    """
    if not 0 < temperature < math.inf:
        raise SettingError(f"a temperature must be above 0 and finite, not {temperature}")
    return float(temperature)


def check_share(name: str, share: float) -> float:
    """A share from 0 to 1.

    Raises:
        SettingError: it is none.
    """
    if not 0 <= share <= 1:
        raise SettingError(f"{name} must be from 0 to 1, not {share}")
    return float(share)


def check_centre(centre: float) -> float:
    """How much a cell's centre is preferred, if it is such a number.

    Raises:
        SettingError: it is below 0 or not finite.
    """
    if not 0 <= centre < math.inf:
        raise SettingError(f"centre must be 0 or more and finite, not {centre}")
    return float(centre)
