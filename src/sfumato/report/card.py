"""The page of a privacy card: one file that needs no other."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from markupsafe import Markup

from sfumato.errors import StoreError
from sfumato.files import atomic
from sfumato.privacy.card import PrivacyCard
from sfumato.report import card_tables, card_words
from sfumato.report.card_figures import isotropic_curve
from sfumato.report.card_pictures import worst_grid
from sfumato.report.palette import css_variables
from sfumato.report.svg import NARROW, WIDE, inline
from sfumato.report.tables import flat
from sfumato.report.wording import unbroken

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
    return _template().render(
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
    worst = best_match(Draft202012Validator(card_schema()).iter_errors(content))
    if worst is not None:
        path = "/".join(str(key) for key in worst.absolute_path) or "the whole file"
        raise StoreError(f"{where}: {path}: {worst.message[:160]}")


@cache
def card_schema() -> dict[str, Any]:
    """The JSON schema of `privacy_card.json`, as shipped with the package."""
    text = files("sfumato.report").joinpath("privacy_card.schema.json").read_text(encoding="utf-8")
    return json.loads(text)


def _figure(card: PrivacyCard) -> tuple[Markup, Markup]:
    """For a wide and for a narrow screen; the page shows the one that fits."""
    title = "Leak under isotropic noise of scale σ, beside the audited obfuscator"
    drawn = [
        inline(lambda size: isotropic_curve(card, size), size, "isotropic", title)
        for size in (WIDE, NARROW)
    ]
    return Markup(drawn[0]), Markup(drawn[1])


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sfumato.report", package_path=""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["unbroken"] = unbroken
    return environment.get_template("card.html.j2")
