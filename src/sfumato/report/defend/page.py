"""The page of a defence and of the attacks on it: one file that needs no other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sfumato.report.common.frame import both, check, fill, schema_of, write_page
from sfumato.report.common.numerals import short
from sfumato.report.common.pictures import load_pictures
from sfumato.report.defend import tables, words
from sfumato.report.defend.figures import accuracy_curves, certified_curves
from sfumato.report.defend.pictures import example_strips

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
    return fill(
        "defend",
        results=results,
        eyebrow=results["command"],
        title=words.title(results),
        facts=words.facts(results),
        verdict=results["verdict"],
        glossary=words.GLOSSARY,
        limits=words.LIMITS,
        accuracy_figure=both(results, accuracy_curves, "accuracy"),
        certified_figure=both(results, certified_curves, "certified") if certificates else None,
        worst=tables.worst_table(results),
        attacks=tables.attacks_table(results),
        masking=tables.masking_table(results),
        certificates=tables.certificates_table(results) if certificates else None,
        shown_epsilon=short(
            tables.at_epsilon(results["robustness"], results["epsilon"])["epsilon"]
        ),
        strips=example_strips(tensors, results["data"]["classes"]),
        settings=results["config"],
        provenance=results["provenance"],
    )


def validate_defend(content: Any, where: str = "results.json") -> None:
    """Check results against their schema.

    Raises:
        StoreError: something is missing or of the wrong kind.
    """
    check(content, schema_of("defend"), where)
