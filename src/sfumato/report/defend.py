"""The page of a defence and of the attacks on it: one file that needs no other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sfumato.report import defend_tables, defend_words
from sfumato.report.defend_figures import accuracy_curves, certified_curves
from sfumato.report.defend_pictures import example_strips
from sfumato.report.frame import both, check, schema_of, template, write_page
from sfumato.report.numerals import short
from sfumato.report.palette import css_variables
from sfumato.report.pictures import load_pictures
from sfumato.report.tables import flat

DEFEND_SCHEMA = "sfumato.defend/1"


def write_defend(run: str | Path) -> Path:
    """Write `report.html` into the folder of a run of `sfumato defend`.

    Args:
        run: folder with `results.json`, and `pictures.safetensors` where records are pictures.

    Returns:
        The path of the page.

    Raises:
        StoreError: the results or the pictures are missing, damaged, or not of this version.
        OutputError: the page cannot be written.
    """
    run = Path(run)
    return write_page(run, validate_defend, lambda found: render_defend(found, load_pictures(run)))


def render_defend(results: Mapping[str, Any], tensors: Mapping[str, Any]) -> str:
    """The page as text, from valid `results` and the tensors of the pictures (may be empty)."""
    certificates = results["certificates"]
    return template("defend").render(
        results=results,
        title=defend_words.title(results),
        facts=defend_words.facts(results),
        glossary=defend_words.GLOSSARY,
        limits=defend_words.LIMITS,
        colours=(css_variables(0), css_variables(1)),
        accuracy_figure=both(results, accuracy_curves, "accuracy"),
        certified_figure=both(results, certified_curves, "certified") if certificates else None,
        worst=defend_tables.worst_table(results),
        attacks=defend_tables.attacks_table(results),
        masking=defend_tables.masking_table(results),
        certificates=defend_tables.certificates_table(results) if certificates else None,
        shown_epsilon=short(
            defend_tables.at_epsilon(results["robustness"], results["epsilon"])["epsilon"]
        ),
        strips=example_strips(tensors, results["data"]["classes"]),
        settings=flat(results["config"]),
        provenance=flat(results["provenance"]),
    )


def validate_defend(content: Any, where: str = "results.json") -> None:
    """Check results against their schema.

    Raises:
        StoreError: something is missing or of the wrong kind.
    """
    check(content, defend_schema(), where)


def defend_schema() -> dict[str, Any]:
    """The JSON schema of `results.json` of `sfumato defend`, as shipped with the package."""
    return schema_of("defend")
