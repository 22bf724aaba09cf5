"""What the attacker knows: everything but the draw."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, final, runtime_checkable

import torch
from torch import Tensor
from torch.distributions import (
    Categorical,
    Distribution,
    Independent,
    Laplace,
    MixtureSameFamily,
    Normal,
)

from sfumato.nn.conditional.selection import SoftSelection
from sfumato.objectives.moments import bare
from sfumato.objectives.within import class_means


class Mechanism(Protocol):
    """What makes releases, an `Obfuscator` for example."""

    def release(self, x: Tensor, labels: Tensor, /) -> Tensor:
        """One fresh release of each record."""
        ...

    def distribution(self, x: Tensor, selection: Tensor, /) -> Distribution:
        """The law of the release, element by element."""
        ...


class Summary(Protocol):
    """What an attacker keeps of K releases of a record, where their average is not all."""

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Of its parts, side by side in a row of `draw`."""
        ...

    @property
    def rows(self) -> int | None:
        """How many records can be drawn for in a bearable time; None for any number."""
        ...

    def draw(self, x: Tensor, labels: Tensor, /) -> Tensor:
        """It, flat, of K fresh releases of each record."""
        ...


@runtime_checkable
class ToldSummary(Summary, Protocol):
    """A summary whose moments are known without a draw."""

    def locations(self, x: Tensor, labels: Tensor, /) -> Tensor:
        """Its mean for each record, flat."""
        ...

    def noise(self, variances: Tensor, /) -> Tensor:
        """Its variances `[C, ...]` from those of one release `[C, e]`."""
        ...


@final
@dataclass(frozen=True)
class Served:
    """An obfuscator as it serves records whose label is unknown: under its learned selection.

    Args:
        mechanism: an `Obfuscator`, or what is called and has a law like one.
    """

    mechanism: Any

    def release(self, x: Tensor, labels: Tensor) -> Tensor:
        """One fresh served copy of each record."""
        del labels
        return self.mechanism(x)

    def distribution(self, x: Tensor, selection: Tensor) -> Distribution:
        """The law of a served record.

        Where the selection draws one class for each record: Σ_c π_c law_c, whichever class a call
        would draw.

        Raises:
            NotImplementedError: it draws a class for each channel or element, or noise that is
                neither Gaussian nor Laplace: that law is not known in closed form.
        """
        del selection
        shares = _drawn_from(self.mechanism)
        if shares is None:
            return self.mechanism.distribution(x, None)
        labels = [torch.full((len(x),), c, device=x.device) for c in range(len(shares))]
        laws = [bare(self.mechanism.distribution(x, label)) for label in labels]
        kind = Normal if isinstance(laws[0], Normal) else Laplace
        if not all(isinstance(law, kind) for law in laws):
            raise NotImplementedError("the law of a mixture of such noise is not known")
        location, scale = (
            torch.stack([getattr(law, name).flatten(1) for law in laws], 1)
            for name in ("loc", "scale")
        )
        parts = Independent(kind(location, scale, validate_args=False), 1)
        weights = Categorical(shares.expand(len(x), -1), validate_args=False)
        return MixtureSameFamily(weights, parts, validate_args=False)


def _drawn_from(mechanism: Any) -> Tensor | None:
    """π `[C]`, of which a class is drawn for each record; None where none is drawn."""
    selection = getattr(mechanism, "selection", None)
    if not isinstance(selection, SoftSelection) or selection.combine != "mixture":
        return None
    if math.prod(selection.shape) != 1:
        raise NotImplementedError("the law of a class drawn for each element is not known")
    return selection().flatten()


@final
@dataclass(frozen=True)
class Knowledge:
    """Auxiliary records of the same distribution, their labels, and the mechanisms in full.

    Args:
        inputs: auxiliary records `[N, ...]`; none of them is attacked.
        labels: `[N]`.
        num_classes: number of classes.
        mechanisms: one for each release that the attacker holds of a record.
        releases: K, how many fresh releases of each mechanism are averaged.
        summary: what is kept of K releases of one mechanism instead of their average.
    """

    inputs: Tensor
    labels: Tensor
    num_classes: int
    mechanisms: Sequence[Mechanism]
    releases: int = 1
    summary: Summary | None = None

    @torch.no_grad()
    def draw(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """Fresh averages of K releases, flat and side by side: `[B, mechanisms * size]`.

        Where there is a summary, that of K fresh releases.
        """
        if self.summary is not None:
            return self.summary.draw(inputs, labels)
        return torch.cat([self._average(m, inputs, labels).flatten(1) for m in self.mechanisms], 1)

    @torch.no_grad()
    def shapes(self) -> list[tuple[int, ...]]:
        """The shape of one release of each mechanism, or of each part of the summary."""
        if self.summary is not None:
            return list(self.summary.shapes)
        one = self.inputs[:1], self.labels[:1]
        return [tuple(m.release(*one).shape[1:]) for m in self.mechanisms]

    def class_means(self, values: Tensor) -> Tensor:
        """The mean of `values` `[N, d]` for each class, `[C, d]`; of all for an absent class."""
        return class_means(values, self.labels, self.num_classes)

    def _average(self, mechanism: Mechanism, inputs: Tensor, labels: Tensor) -> Tensor:
        total = mechanism.release(inputs, labels)
        if self.releases == 1:
            return total
        law = _normal(mechanism, inputs, labels) if self.releases > 2 else None
        if law is not None and law.mean.shape == total.shape:  # one draw of the average's own law
            return law.mean + law.stddev * torch.randn_like(total) / self.releases**0.5
        for _ in range(self.releases - 1):
            total = total + mechanism.release(inputs, labels)
        return total / self.releases


def _normal(mechanism: Mechanism, inputs: Tensor, labels: Tensor) -> Normal | None:
    try:
        law = mechanism.distribution(inputs, labels)
    except (AttributeError, NotImplementedError):
        return None
    return law if type(law) is Normal else None
