"""The tables of a card's page."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from sfumato.privacy.audits.rows import AttackRow
from sfumato.privacy.card import PrivacyCard
from sfumato.privacy.statistics import Figure
from sfumato.report.common.numerals import NOTHING, number
from sfumato.report.common.tables import Cell, Row, Table

_COLUMNS = (  # figure, head, factor, decimals
    ("leak", "leak", 1, 3),
    ("leak_95", "95th percentile", 1, 2),
    ("over_half", "over half, %", 100, 1),
    ("ssim", "SSIM", 1, 3),
    ("psnr", "PSNR, dB", 1, 1),
    ("pearson", "Pearson", 1, 3),
    ("accuracy", "accuracy, %", 100, 1),
)


def reconstruction_table(card: PrivacyCard) -> Table:
    """Attacks that guess whole records, a group for each K, and the class mean beside them."""
    rows = [row for row in card.attacks if row.headline == "leak"]
    named = {name for row in rows for name in row.figures}
    columns = [column for column in _COLUMNS if column[0] in named]
    table = Table(["attack", *(head for _, head, _, _ in columns), "controls"])
    for stored, served in ((False, False), (False, True), (True, False)):
        place = [row for row in rows if (row.stored, row.served) == (stored, served)]
        for count in dict.fromkeys(row.releases for row in place):
            table.rows.append(Row(_group(count, stored, served), "", []))
            group = [row for row in place if row.releases == count]
            for row in sorted(group, key=lambda r: -r.figures["leak"].mean):
                cells = [_cell(row.figures.get(name), by, n) for name, _, by, n in columns]
                strong = (row.figures["leak"], row.reconstructs) == (card.leak, True)
                table.rows.append(Row(row.name, "", [*cells, _control(card, row)], strong))
    blank = card.baselines.label_only
    cells = [_cell(blank.get(name), by, n, spread=False) for name, _, by, n in columns]
    table.rows.append(Row("no release at all", "", []))
    table.rows.append(Row("class mean", "what the label tells", [*cells, NOTHING]))
    return table


def others_table(card: PrivacyCard) -> Table:
    """Attacks that find something else than whole records."""
    table = Table(["attack", "K", "figure", "found", "chance", "controls"])
    for row in card.attacks:
        if not row.skipped and row.headline != "leak":
            place = ", stored set" if row.stored else ", served" if row.served else ""
            title = row.name + place
            cells: list[Cell] = [str(row.releases), row.headline, _cell(row.score, 1, 3)]
            table.rows.append(Row(title, "", [*cells, number(row.chance, 3), _control(card, row)]))
    return table


def controls_table(card: PrivacyCard) -> Table:
    """Every control, what it had to find and what it found."""
    table = Table(["attack", "where", "K", "figure", "found", "must be", ""])
    for control in sorted(card.controls, key=lambda control: control.passed):
        side = "≤" if control.kind == "loud" else "≥"
        cells: list[Cell] = [
            _WHERE.get(control.kind, f"noise σ = {number(control.sigma, 3)}"),
            str(control.releases),
            control.figure,
            number(control.found.mean, 3),
            f"{side}\u00a0{number(control.bound, 3)}",
            "passed" if control.passed else Markup("<strong>failed</strong>"),
        ]
        table.rows.append(Row(control.attack, "", cells))
    return table


def checks(card: PrivacyCard) -> list[tuple[str, str]]:
    """What else must hold, and whether it does."""
    return [("passed" if one.passed else "failed", one.words) for one in card.checks]


_WHERE = {
    "binary": "±1 in the scale alone",
    "shifted": "label in the location",
    "scaled": "record in the scale",
}


def certificate(card: PrivacyCard) -> list[tuple[str, str]]:
    """K and the words of its certificate."""
    return [(_group(one.releases, False), one.words) for one in card.certificate]


def skipped(card: PrivacyCard) -> list[tuple[str, str]]:
    """Attacks that were not run, and why."""
    return list({row.name: row.skipped for row in card.attacks if row.skipped}.items())


def notes(card: PrivacyCard) -> list[tuple[str, str]]:
    """What the attacks say of themselves, at the smallest K."""
    found: dict[str, str] = {}
    for row in card.attacks:
        if row.notes:
            found.setdefault(row.name, "; ".join(row.notes))
    return list(found.items())


def details(card: PrivacyCard) -> list[tuple[str, str]]:
    """The figures beside the headlines, at the smallest K."""
    found: dict[str, str] = {}
    for row in card.attacks:
        rest = {name: one.mean for name, one in row.figures.items() if name != row.headline}
        if rest and not row.stored and row.headline != "leak":
            listed = (f"{name.replace('_', ' ')} {number(v, 3)}" for name, v in rest.items())
            found.setdefault(row.name, ", ".join(listed))
    return list(found.items())


def hashes(card: PrivacyCard) -> list[tuple[str, str]]:
    """What the card is about, as checksums."""
    return [
        ("obfuscator", card.obfuscator),
        ("records", card.data["fingerprint"]),
        ("settings", card.config_sha256),
    ]


def settings(card: PrivacyCard) -> dict[str, Any]:
    """The settings, the attacks by name."""
    attacks = {one["name"]: one["settings"] or "–" for one in card.config.get("attacks", [])}
    return {**card.config, "attacks": attacks}


def _group(count: int, stored: bool, served: bool = False) -> str:
    if stored:
        return "the stored release"
    if served:
        return "served without a label" + (f", {count} times" if count > 1 else "")
    return "1 release" if count == 1 else f"{count} releases"


def _control(card: PrivacyCard, row: AttackRow) -> Cell:
    own = [control for control in card.controls if control.attack == row.name]
    if not own:
        return NOTHING
    if all(control.passed for control in own):
        return "passed"
    return Markup("<strong>failed</strong>")


def _cell(figure: Figure | None, factor: float, digits: int, *, spread: bool = True) -> Cell:
    """The mean, and the confidence interval where there is one."""
    if figure is None:
        return NOTHING
    mean, low, high = (number(factor * v, digits) for v in (figure.mean, figure.low, figure.high))
    if low == high or not spread:
        return Markup('<span class="value">{}</span>').format(mean)
    return Markup('<span class="value">{}</span> <span class="spread">{}…{}</span>').format(
        mean, low, high
    )
