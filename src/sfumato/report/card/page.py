"""The page of a privacy card: one file that needs no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup

from sfumato.files import atomic
from sfumato.privacy.card import PrivacyCard
from sfumato.report.card import tables, words
from sfumato.report.card.figures import isotropic_curve
from sfumato.report.card.pictures import worst_grid
from sfumato.report.common.frame import both, check, fill, schema_of
from sfumato.report.common.tables import flat

PAGE = "privacy_card.html"


def write_card(card: PrivacyCard, folder: str | Path) -> Path:
    """Write `privacy_card.html` into `folder`.

    It shows the attacked records that leak most in clear: keep it where the records are kept.

    Raises:
        OutputError: the page cannot be written.
    """
    target = Path(folder) / PAGE
    with atomic(target) as part:
        part.write_text(render_card(card), encoding="utf-8")
    return target


def render_card(card: PrivacyCard) -> str:
    """The page as text."""
    return fill(
        "card",
        card=card,
        eyebrow="privacy card",
        title=f"{card.data['name']}: privacy card",
        facts=words.facts(card),
        verdict=card.verdict,
        reconstruction=tables.reconstruction_table(card),
        others=tables.others_table(card),
        details=tables.details(card),
        skipped=tables.skipped(card),
        notes=tables.notes(card),
        controls=tables.controls_table(card),
        checks=tables.checks(card),
        certificate=tables.certificate(card),
        figure=_figure(card) if card.baselines.isotropic else None,
        grid=worst_grid(card.worst, card.data["classes"]),
        glossary=words.GLOSSARY,
        settings=[*tables.hashes(card), *flat(tables.settings(card))],
        provenance=card.provenance,
    )


def validate_card(content: Any, where: str = "privacy_card.json") -> None:
    """Check what a card's JSON holds against its schema.

    Raises:
        StoreError: something is missing or of the wrong kind.
    """
    check(content, card_schema(), where)


def card_schema() -> dict[str, Any]:
    """The JSON schema of `privacy_card.json`, as shipped with the package."""
    return schema_of("card")


def _figure(card: PrivacyCard) -> tuple[Markup, Markup]:
    title = "Leak under isotropic noise of scale σ, beside the audited obfuscator"
    return both(card, isotropic_curve, "isotropic", title)
