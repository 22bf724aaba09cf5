"""The page of a comparison of selectors: one file that needs no other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sfumato.report.common.frame import both, check, fill, schema_of, write_page
from sfumato.report.common.pictures import load_pictures
from sfumato.report.pixels import figures, pictures, tables, words

PIXELS_SCHEMA = "sfumato.pixels/1"


def write_pixels(run: str | Path) -> Path:
    """Write `report.html` into the folder of a run of `sfumato pixels train` or `evaluate`.

    Args:
        run: folder with `results.json` and `pictures.safetensors`.

    Returns:
        The path of the page.

    Raises:
        StoreError: the results or the pictures are missing, damaged, or not of this version.
        OutputError: the page cannot be written.
    """
    run = Path(run)
    return write_page(run, validate_pixels, lambda found: render_pixels(found, load_pictures(run)))


def render_pixels(results: Mapping[str, Any], tensors: Mapping[str, Any]) -> str:
    """The page as text, from valid `results` and the tensors of the pictures (may be empty)."""
    several = len(results["budgets"]) > 1
    priced = any(cell["weight"] is not None for cell in results["cells"])
    return fill(
        "pixels",
        results=results,
        eyebrow=results["command"],
        title=words.title(results),
        facts=words.facts(results),
        verdict=results["verdict"],
        glossary=words.GLOSSARY,
        metric=words.metric(results),
        shown=words.shown(results),
        curve=both(results, figures.budget_curves, "budget") if several else None,
        dots=None if several else both(results, figures.score_dots, "scores"),
        prices=both(results, figures.price_curves, "prices") if priced else None,
        scores=tables.scores_table(results),
        gains=tables.gains_table(results),
        spent=tables.spent_table(results),
        strips=pictures.strips(tensors, results),
        settings=results["config"],
        provenance=results["provenance"],
    )


def validate_pixels(content: Any, where: str = "results.json") -> None:
    """Check results against their schema.

    Raises:
        StoreError: something is missing or of the wrong kind.
    """
    check(content, schema_of("pixels"), where)
