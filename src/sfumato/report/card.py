"""The page of a privacy card: one file that needs no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup

from sfumato.files import atomic
from sfumato.privacy.card import PrivacyCard
from sfumato.report import card_tables, card_words
from sfumato.report.card_figures import isotropic_curve
from sfumato.report.card_pictures import worst_grid
from sfumato.report.frame import both, check, schema_of, template
from sfumato.report.palette import css_variables
from sfumato.report.tables import flat

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
    return template("card").render(
        card=card,
        title=f"{card.data['name']}: privacy card",
        facts=card_words.facts(card),
        reconstruction=card_tables.reconstruction_table(card),
        others=card_tables.others_table(card),
        details=card_tables.details(card),
        skipped=card_tables.skipped(card),
        notes=card_tables.notes(card),
        controls=card_tables.controls_table(card),
        checks=card_tables.checks(card),
        certificate=card_tables.certificate(card),
        figure=_figure(card) if card.baselines.isotropic else None,
        grid=worst_grid(card.worst, card.data["classes"]),
        glossary=card_words.GLOSSARY,
        colours=(css_variables(0), css_variables(1)),
        settings=[*card_tables.hashes(card), *flat(card_tables.settings(card))],
        provenance=flat(card.provenance),
    )


def validate_card(content: Any, where: str = "privacy_card.json") -> None:
    """Check what a card's JSON holds against its schema.

    Raises:
        StoreError: something is missing or of the wrong kind.
    """
    check(content, card_schema(), where)


def card_schema() -> dict[str, Any]:
    """The JSON schema of `privacy_card.json`, as shipped with the package."""
    return schema_of("privacy_card")


def _figure(card: PrivacyCard) -> tuple[Markup, Markup]:
    title = "Leak under isotropic noise of scale σ, beside the audited obfuscator"
    return both(card, isotropic_curve, "isotropic", title)
