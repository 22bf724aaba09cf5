"""What spec 4 says: its numbers, and its words where it has figures alone."""

from __future__ import annotations

ACCURACY: dict[tuple[str, float], dict[str, float]] = {
    ("patterned", 0.4): {"se-snn": 95.17, "parallel": 81.04},
}
"""Per cent, from appendix B.2; figure 3a holds the rest as curves."""

TARGETS = {"se-snn": 0.952, "se-snn+forward": 0.975}
"""At p = 0.4."""
