"""The settings of an audit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from operator import index
from typing import Any, Literal, TypeAlias, final, get_args

from sfumato.errors import SettingError
from sfumato.privacy.attacks.decoder import DecoderSettings

BudgetName = Literal["quick", "full"]
Budget: TypeAlias = BudgetName | DecoderSettings

_DECODERS = {
    "quick": DecoderSettings(steps=150, width=8),
    "full": DecoderSettings(steps=3000, width=24, check_every=100, patience=6),
}


@final
@dataclass(frozen=True)
class AuditPlan:
    """The settings of `sf.audit`.

    Args:
        releases: K, how many releases of each record the attacker averages, smallest first.
        seeds: every attack is repeated for each: other draws, another training.
        control: run the positive and negative controls too.
        budget: what an attack may spend: "quick", "full", or settings of the decoder network.
        delta: of the certificate.
        attacked: attack at most so many records; by default 500 where the budget is quick, else
            2,000.

    Raises:
        SettingError: a number outside of what it may be.
    """

    releases: tuple[int, ...] = (1, 10, 100)
    seeds: tuple[int, ...] = (0, 1, 2)
    control: bool = True
    budget: Budget = "full"
    delta: float = 1e-5
    attacked: int | None = None

    def __post_init__(self) -> None:
        if not self.releases or any(k < 1 for k in self.releases):
            raise SettingError(
                f"releases are whole numbers of at least 1, for example (1, 10), not "
                f"{self.releases}"
            )
        object.__setattr__(self, "releases", tuple(sorted(set(self.releases))))
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise SettingError(f"an audit needs one or more different seeds, not {self.seeds}")
        if not isinstance(self.budget, DecoderSettings) and self.budget not in _DECODERS:
            names = ", ".join(get_args(BudgetName))
            raise SettingError(
                f"the budget is one of {names}, or DecoderSettings, not {self.budget!r}"
            )
        if not 0 < self.delta < 1:
            raise SettingError(f"delta must lie between 0 and 1, not {self.delta}")
        if self.attacked is not None and self.attacked < 1:
            raise SettingError(f"attacked must be at least 1, not {self.attacked}")

    @property
    def quick(self) -> bool:
        """Whether the budget is a small one, of all attacks: "quick", or as few steps."""
        return self.decoder.steps <= _DECODERS["quick"].steps

    @property
    def reduced(self) -> bool:
        """Whether the decoders have less than the full budget."""
        full, own = _DECODERS["full"], self.decoder
        return own.steps < full.steps or own.width < full.width or own.patience < full.patience

    @property
    def decoder(self) -> DecoderSettings:
        """The budget of a decoder network."""
        return self.budget if isinstance(self.budget, DecoderSettings) else _DECODERS[self.budget]

    @property
    def targets(self) -> int:
        """How many records are attacked at most."""
        return self.attacked or (500 if self.quick else 2000)

    def to_json(self) -> dict[str, Any]:
        """The settings, as JSON values."""
        values = asdict(self)
        return {**values, "releases": list(self.releases), "seeds": list(self.seeds)}


def release_counts(releases: Iterable[int] | int) -> tuple[int, ...]:
    """K as `sf.audit` takes it: whole numbers, or one of them.

    Raises:
        SettingError: anything else.
    """
    return _whole([releases] if _is_whole(releases) else releases, "releases", "(1, 10)")


def seed_numbers(seeds: Iterable[int] | int) -> tuple[int, ...]:
    """Seeds as `sf.audit` takes them: whole numbers, or how many: 3 is (0, 1, 2).

    Raises:
        SettingError: anything else.
    """
    count: Any = seeds
    return _whole(range(count) if _is_whole(seeds) else seeds, "seeds", "(0, 1, 2)")


def _whole(values: Any, what: str, example: str) -> tuple[int, ...]:
    listed = None if isinstance(values, (str, bytes)) else values
    try:
        listed = tuple(listed)  # type: ignore[arg-type]
    except TypeError:
        listed = None
    if listed is None or not all(_is_whole(value) for value in listed):
        raise SettingError(f"{what} are whole numbers, for example {example}, not {values!r}")
    return tuple(int(value) for value in listed)


def _is_whole(value: Any) -> bool:
    """Whether it is an integer of any library; True and 1.0 are none."""
    try:
        index(value)
    except TypeError:
        return False
    return not isinstance(value, bool)
