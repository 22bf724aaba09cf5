"""The page of a search for wrong labels: one file that needs no other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sfumato.report.common.frame import both, check, fill, schema_of, write_page
from sfumato.report.common.pictures import load_pictures
from sfumato.report.denoise import pictures, tables, words
from sfumato.report.denoise.figures import accuracy_curves, found_curves

DENOISE_SCHEMA = "sfumato.denoise/1"


def write_denoise(run: str | Path) -> Path:
    """Write `report.html` into the folder of a run of `sfumato denoise`.

    Args:
        run: folder with `results.json`, and `pictures.safetensors` where records are pictures.

    Returns:
        The path of the page.

    Raises:
        StoreError: the results or the pictures are missing, damaged, or not of this version.
        OutputError: the page cannot be written.
    """
    run = Path(run)
    return write_page(
        run, validate_denoise, lambda found: render_denoise(found, load_pictures(run))
    )


def render_denoise(results: Mapping[str, Any], tensors: Mapping[str, Any]) -> str:
    """The page as text, from valid `results` and the tensors of the pictures (may be empty)."""
    rows = results["rows"]
    several = len({row["rate"] for row in rows}) > 1
    known = any(row["curve"] for row in rows)
    return fill(
        "denoise",
        results=results,
        eyebrow=results["command"],
        title=words.title(results),
        facts=words.facts(results),
        verdict=results["verdict"],
        about_list=words.about_list(results),
        about_certainty=words.about_certainty(results),
        glossary=words.GLOSSARY,
        suspects=pictures.suspect_grid(tensors, results),
        certainty=pictures.certainty_grid(tensors, results),
        listed=tables.suspects_table(results),
        quality=tables.quality_table(results),
        accuracy_figure=both(results, accuracy_curves, "accuracy") if several else None,
        found_figure=both(results, found_curves, "found") if known else None,
        settings=results["config"],
        provenance=results["provenance"],
    )


def validate_denoise(content: Any, where: str = "results.json") -> None:
    """Check results against their schema.

    Raises:
        StoreError: something is missing or of the wrong kind.
    """
    check(content, schema_of("denoise"), where)
