"""Published results on LeNet-5 and MNIST, to be drawn beside one's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True)
class Published:
    """A row of spec 4's table 1.

    Args:
        name: of the method.
        size: share of the parameters that is left.
        multiplications: for one record.
        activations: share of the stored values that is left.
        error: share of MNIST's test records that it gets wrong.
    """

    name: str
    size: float
    multiplications: float
    activations: float
    error: float


SETTING = "LeNet-5 on MNIST"
OURS = "SE-SNN"
"""The method of spec 4 itself."""

# Spec 4 ("Simple and Effective Stochastic Neural Networks"), table 1, and the papers that it cites.
TABLE = (
    Published("GD", 0.0138, 0.250e6, 0.3200, 0.011),
    Published("GL", 0.2369, 0.201e6, 0.1935, 0.010),
    Published("VD", 0.0929, 0.660e6, 0.6078, 0.010),
    Published("SBP", 0.1966, 0.213e6, 0.2115, 0.009),
    Published("BC-GNJ", 0.0095, 0.283e6, 0.3503, 0.010),
    Published("BC-GHS", 0.0064, 0.153e6, 0.2280, 0.010),
    Published("L0", 0.0892, 1.113e6, 0.8582, 0.009),
    Published("L0-sep", 0.0108, 0.389e6, 0.4036, 0.010),
    Published("VIBNet", 0.0083, 0.094e6, 0.1555, 0.010),
    Published(OURS, 0.0235, 0.061e6, 0.1108, 0.009),
)
