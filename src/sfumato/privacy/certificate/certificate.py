"""The certificate: what is proved of a release, or that nothing is, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

VACUOUS = 20.0
"""An ε above this says nothing: the odds of any guess may change by a factor of 5e8."""


@final
@dataclass(frozen=True)
class Certificate:
    """(ε, δ) local differential privacy of the releases of one record, or why there is none.

    For any two records x and x', and any set S of releases:
    P(release of x in S) ≤ e^ε P(release of x' in S) + δ.

    Args:
        certified: whether there is a guarantee worth the name.
        epsilon: ε; also given where it is above 20 and counts as vacuous; None where there is none.
        delta: δ; 0 where the guarantee is pure.
        releases: K, the releases of one record that are covered together.
        mechanism: the noise, and how ε was found.
        premise: what the guarantee rests on, and what it does not cover.
        reason: why nothing is certified; empty where it is.
        diameter: how far apart two locations can be, in units of the release: Euclidean, or the
            sum of absolute differences for Laplace noise.
        scale: the smallest scale of the noise, in the same units.
    """

    certified: bool
    epsilon: float | None
    delta: float
    releases: int
    mechanism: str
    premise: str
    reason: str = ""
    diameter: float | None = None
    scale: float | None = None

    @property
    def words(self) -> str:
        """One or two sentences for the card."""
        if not self.certified:
            return f"Not certified: {self.reason}."
        what = "the release" if self.releases == 1 else f"{self.releases} releases"
        kind = (
            f"ε = {self.epsilon:.3g} at δ = {self.delta:g}"
            if self.delta
            else (f"pure ε = {self.epsilon:.3g}")
        )
        return (
            f"Certified: local differential privacy of {what} of a record with {kind} "
            f"({self.mechanism}). It rests on this: {self.premise}."
        )
