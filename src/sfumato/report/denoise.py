"""The page of a search for wrong labels: one file that needs no other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sfumato.report import denoise_pictures, denoise_tables, denoise_words
from sfumato.report.denoise_figures import accuracy_curves, found_curves
from sfumato.report.frame import both, check, schema_of, template, write_page
from sfumato.report.palette import css_variables
from sfumato.report.pictures import load_pictures
from sfumato.report.tables import flat

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
    return template("denoise").render(
        results=results,
        title=denoise_words.title(results),
        facts=denoise_words.facts(results),
        about_list=denoise_words.about_list(results),
        about_certainty=denoise_words.about_certainty(results),
        glossary=denoise_words.GLOSSARY,
        colours=(css_variables(0), css_variables(1)),
        suspects=denoise_pictures.suspect_grid(tensors, results),
        certainty=denoise_pictures.certainty_grid(tensors, results),
        listed=denoise_tables.suspects_table(results),
        quality=denoise_tables.quality_table(results),
        accuracy_figure=both(results, accuracy_curves, "accuracy") if several else None,
        found_figure=both(results, found_curves, "found") if known else None,
        settings=flat(results["config"]),
        provenance=flat(results["provenance"]),
    )


def validate_denoise(content: Any, where: str = "results.json") -> None:
    """Check results against their schema.

    Raises:
        StoreError: something is missing or of the wrong kind.
    """
    check(content, denoise_schema(), where)


def denoise_schema() -> dict[str, Any]:
    """The JSON schema of `results.json` of `sfumato denoise`, as shipped with the package."""
    return schema_of("denoise")
