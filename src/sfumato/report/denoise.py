"""The page of a search for wrong labels: one file that needs no other."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from markupsafe import Markup
from matplotlib.figure import Figure

from sfumato.errors import StoreError
from sfumato.files import atomic, read_json
from sfumato.report import denoise_pictures, denoise_tables, denoise_words
from sfumato.report.denoise_figures import accuracy_curves, found_curves
from sfumato.report.palette import css_variables
from sfumato.report.pictures import load_pictures
from sfumato.report.svg import NARROW, WIDE, Size, inline
from sfumato.report.tables import flat
from sfumato.report.wording import unbroken

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
    results = read_json(run / "results.json")
    validate_denoise(results, str(run / "results.json"))
    target = run / "report.html"
    with atomic(target) as part:
        part.write_text(render_denoise(results, load_pictures(run)), encoding="utf-8")
    return target


def render_denoise(results: Mapping[str, Any], tensors: Mapping[str, Any]) -> str:
    """The page as text, from valid `results` and the tensors of the pictures (may be empty)."""
    rows = results["rows"]
    several = len({row["rate"] for row in rows}) > 1
    known = any(row["curve"] for row in rows)
    return _template().render(
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
        accuracy_figure=_both(results, accuracy_curves, "accuracy") if several else None,
        found_figure=_both(results, found_curves, "found") if known else None,
        settings=flat(results["config"]),
        provenance=flat(results["provenance"]),
    )


def validate_denoise(content: Any, where: str = "results.json") -> None:
    """Check results against their schema.

    Raises:
        StoreError: something is missing or of the wrong kind.
    """
    worst = best_match(Draft202012Validator(denoise_schema()).iter_errors(content))
    if worst is not None:
        path = "/".join(str(key) for key in worst.absolute_path) or "the whole file"
        raise StoreError(f"{where}: {path}: {worst.message[:160]}")


@cache
def denoise_schema() -> dict[str, Any]:
    """The JSON schema of `results.json` of `sfumato denoise`, as shipped with the package."""
    text = files("sfumato.report").joinpath("denoise.schema.json").read_text(encoding="utf-8")
    return json.loads(text)


def _both(
    results: Mapping[str, Any], draw: Callable[[Mapping[str, Any], Size], Figure], name: str
) -> tuple[Markup, Markup]:
    """The figure for a wide and for a narrow screen; the page shows the one that fits."""
    title = (draw.__doc__ or name).splitlines()[0]
    drawn = [inline(lambda size: draw(results, size), size, name, title) for size in (WIDE, NARROW)]
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
    return environment.get_template("denoise.html.j2")
