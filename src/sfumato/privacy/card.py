"""The privacy card: what was attacked, what was found, and whether to believe it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from sfumato.errors import SettingError
from sfumato.files import prepare_folder
from sfumato.privacy.audits import store
from sfumato.privacy.audits.bracket import Information
from sfumato.privacy.audits.checks import Check
from sfumato.privacy.audits.limits import Bounds, broken_bounds
from sfumato.privacy.audits.rows import AttackRow, Baselines, Certified, Worst
from sfumato.privacy.audits.verdict import verdict
from sfumato.privacy.control import Control
from sfumato.privacy.statistics import Figure


@final
@dataclass(frozen=True, repr=False)
class PrivacyCard:
    """What `sf.audit` found.

    Every figure is a lower bound of what the best attacker can do, under the threat model that
    the card states; only a certificate bounds it from above.

    Args:
        obfuscator: digest of what was audited.
        leak: of the strongest reconstruction at the smallest K that was audited, of fresh or
            stored releases, or of served records.
        strongest: the name of that attack.
        trusted: whether every control was run and passed, and every check.
        attacks: every attack at every K, on fresh releases and on the stored set.
        certificate: for every K.
        controls: what the attacks found on isotropic noise of known strength.
        checks: whether releases follow the stated law, and what else must hold.
        baselines: the leak of isotropic noise, and of the class mean.
        information: what one release tells, in nats, between two bounds; None where it was not
            looked for.
        limits: what keeps it from being a whole audit: few attacks, a small budget.
        threat_model: who sees what, in plain words.
        worst: the records that leak most.
        data: name, sizes, split and fingerprint.
        releases: the K that were audited.
        seeds: what every attack was repeated with.
        config: the settings.
        config_sha256: checksum of the settings.
        provenance: versions, machine, revision, command and time.
    """

    obfuscator: str
    leak: Figure
    strongest: str
    trusted: bool
    attacks: tuple[AttackRow, ...]
    certificate: tuple[Certified, ...]
    controls: tuple[Control, ...]
    checks: tuple[Check, ...]
    baselines: Baselines
    information: Information | None
    limits: tuple[str, ...]
    threat_model: tuple[str, ...]
    worst: Worst
    data: Mapping[str, Any]
    releases: tuple[int, ...]
    seeds: tuple[int, ...]
    config: Mapping[str, Any]
    config_sha256: str
    provenance: Mapping[str, Any]

    @property
    def complete(self) -> bool:
        """Whether it is trusted, and every attack of the package had its full budget."""
        return self.trusted and bool(self.config.get("complete"))

    @property
    def verdict(self) -> tuple[str, ...]:
        """What the figures say in plain words, the worst news first."""
        return verdict(self)

    def attack(
        self,
        name: str,
        releases: int | None = None,
        *,
        stored: bool = False,
        served: bool = False,
    ) -> AttackRow:
        """The row of one attack, by default at the smallest K.

        Raises:
            SettingError: there is none.
        """
        count = self.releases[0] if releases is None else releases
        wanted = name, count, stored, served
        for row in self.attacks:
            if (row.name, row.releases, row.stored, row.served) == wanted:
                return row
        known = ", ".join(sorted({row.name for row in self.attacks}))
        raise SettingError(f"the card has no attack {name!r} at K = {count}; there are {known}")

    def keeps(
        self,
        *,
        max_leak: float | None = None,
        max_leak_95: float | None = None,
        max_linkage: float | None = None,
        max_epsilon: float | None = None,
    ) -> bool:
        """Whether every bound is kept; see `broken_bounds`.

        Raises:
            SettingError: no bound, or one that is NaN or negative.
        """
        bounds = Bounds(max_leak, max_leak_95, max_linkage, max_epsilon)
        if not bounds.given:
            raise SettingError("give at least one bound, for example keeps(max_leak=0.1)")
        return not broken_bounds(self, bounds)

    def broken_bounds(
        self,
        *,
        max_leak: float | None = None,
        max_leak_95: float | None = None,
        max_linkage: float | None = None,
        max_epsilon: float | None = None,
    ) -> tuple[str, ...]:
        """The bounds that are not kept, in words; nothing where all are.

        A bound counts as kept only where the upper end of the confidence interval keeps it, at
        every K that was audited, and only where the audit is to be trusted.

        Args:
            max_leak: of every reconstruction, of fresh, stored and served releases. The row
                best-per-record is no attack, and is not looked at.
            max_leak_95: of every reconstruction, the 95th percentile of the records' own leaks.
            max_linkage: top-1, of every linkage.
            max_epsilon: of the certificate; no certificate breaks it.

        Raises:
            SettingError: a bound is NaN or negative.
        """
        return broken_bounds(self, Bounds(max_leak, max_leak_95, max_linkage, max_epsilon))

    def save(self, folder: str | Path, *, pictures: bool = True) -> Path:
        """Write `privacy_card.json` and its pictures into `folder`.

        The JSON holds no record. `privacy_card.safetensors` holds the worst attacked records in
        clear, and so does the page that `sfumato.report.write_card` makes of a card: keep these
        two where the records are kept.

        Args:
            folder: made if it is not there.
            pictures: write the pictures too.

        Returns:
            The path of the JSON.

        Raises:
            OutputError: the folder cannot be written.
        """
        return store.save(self, prepare_folder(folder), pictures=pictures)

    @classmethod
    def load(cls, path: str | Path) -> PrivacyCard:
        """Read a card: a folder with `privacy_card.json`, or that file.

        Raises:
            StoreError: it is missing, truncated, was changed, or is no card of this version.
        """
        return cls(**store.load(Path(path)))

    def __repr__(self) -> str:
        return f"<PrivacyCard leak={self.leak} by {self.strongest}, trusted={self.trusted}>"

    def __str__(self) -> str:
        rows = [f"{'attack':<28}{'K':>4}  {'figure':<22}{'mean':>7}  interval"]
        for row in self.attacks:
            name = row.title
            if row.skipped:
                rows.append(f"{name:<28}{row.releases:>4}  not run: {row.skipped}")
                continue
            found = row.score
            rows.append(
                f"{name:<28}{row.releases:>4}  {row.headline:<22}{found.mean:>7.3f}  "
                f"[{found.low:.3f}, {found.high:.3f}], chance {row.chance:.3f}"
            )
        return "\n".join([*self.verdict, "", *rows])
