"""How small a network must become, or how wrong it may become."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import final

from sfumato.compression.counting import Count
from sfumato.compression.pruning.row import Row
from sfumato.errors import SettingError

SIZES = ("multiplications", "parameters", "activations")


@final
@dataclass(frozen=True)
class Budget:
    """What the pruned network may cost for one record, and what error it may make.

    With sizes, removal stops as soon as all of them are met, and that network is the result. With
    an error, it stops once the validation error is beyond it, and the result is the smallest
    network within. With both, the result is the network that meets the sizes if it is within the
    error, else the smallest within.

    Args:
        multiplications: at most so many.
        parameters: at most so many weights and biases.
        activations: at most so many stored values.
        error: the validation error that is allowed, in [0, 1).

    Raises:
        SettingError: nothing is given, or a number is out of range.
    """

    multiplications: float | None = None
    parameters: float | None = None
    activations: float | None = None
    error: float | None = None

    def __post_init__(self) -> None:
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        if all(value is None for value in given.values()):
            raise SettingError(f"a budget needs one of {', '.join(given)}")
        for name in SIZES:
            if given[name] is not None and not given[name] >= 1:
                raise SettingError(f"{name} must be at least 1, not {given[name]}")
        if self.error is not None and not 0 <= self.error < 1:
            raise SettingError(f"error is a share of the records, in [0, 1), not {self.error}")

    @property
    def sizes(self) -> dict[str, float]:
        """The sizes that are given."""
        return {name: getattr(self, name) for name in SIZES if getattr(self, name) is not None}

    def within_size(self, size: Count | Row) -> bool:
        """Whether all sizes that are given are met."""
        return all(getattr(size, name) <= limit for name, limit in self.sizes.items())

    def within_error(self, row: Row) -> bool:
        """Whether the validation error is allowed."""
        return self.error is None or row.error <= self.error

    def check(self, first: Row, smallest: Count) -> None:
        """Raise a `SettingError` where there is nothing to do, or no way to do it.

        Args:
            first: the network as it is.
            smallest: what is left of it with one neuron in every layer.
        """
        if self.sizes and self.within_size(first):
            raise SettingError(f"the budget is met already: {_words(first)}")
        if not self.within_size(smallest):
            raise SettingError(
                f"the budget {self.sizes} cannot be reached: with one neuron in every layer the "
                f"network still has {_words(smallest)}"
            )
        if not self.within_error(first):
            raise SettingError(
                f"the network has a validation error of {first.error:.4f} before anything is "
                f"removed, beyond the budget's {self.error}: train it better, or allow more"
            )

    def done(self, rows: Sequence[Row], patience: int) -> bool:
        """Whether removal stops after these rows."""
        if self.sizes and self.within_size(rows[-1]):
            return True
        late = rows[-patience:]
        return len(late) == patience and not any(self.within_error(row) for row in late)

    def choice(self, rows: Sequence[Row]) -> tuple[int, bool]:
        """The step of the best network for the budget, and whether it meets the budget."""
        if self.sizes:
            for row in rows:
                if self.within_size(row) and self.within_error(row):
                    return row.step, True
        within = [row for row in rows if self.within_error(row)]
        best = within[-1] if within else rows[0]
        return best.step, bool(within) and not self.sizes


def _words(size: Count | Row) -> str:
    return ", ".join(f"{getattr(size, name):,} {name}" for name in SIZES)
