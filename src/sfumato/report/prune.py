"""The page of a pruned network: one file that needs no other."""

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
from sfumato.report import prune_figures, prune_paper, prune_tables, prune_words
from sfumato.report.palette import css_variables
from sfumato.report.svg import NARROW, WIDE, Size, inline
from sfumato.report.tables import flat
from sfumato.report.wording import unbroken

SCHEMA = "sfumato.prune/1"
PAPER_SETTING = prune_paper.SETTING


def write_prune(run: str | Path) -> Path:
    """Write `report.html` into the folder of a run of `sfumato prune`, from its `results.json`.

    Raises:
        StoreError: the results are missing, damaged, or not of this version.
        OutputError: the page cannot be written.
    """
    run = Path(run)
    results = read_json(run / "results.json")
    validate_prune(results, str(run / "results.json"))
    target = run / "report.html"
    with atomic(target) as part:
        part.write_text(render_prune(results), encoding="utf-8")
    return target


def render_prune(results: Mapping[str, Any]) -> str:
    """The page as text, from valid `results`."""
    return _template().render(
        results=results,
        title=prune_words.title(results),
        facts=prune_words.facts(results),
        glossary=prune_words.GLOSSARY,
        colours=(css_variables(0), css_variables(1)),
        front_figure=_both(results, prune_figures.front, "front"),
        drawing=_both(results, prune_figures.architecture, "architecture"),
        costs=prune_tables.costs_table(results),
        layers=prune_tables.layers_table(results),
        speed=prune_tables.speed_table(results),
        front=prune_tables.front_table(results),
        published=prune_tables.published_table(results),
        settings=flat(results["config"]),
        provenance=flat(results["provenance"]),
    )


def validate_prune(content: Any, where: str = "results.json") -> None:
    """Check the results of `sfumato prune` against their schema.

    Raises:
        StoreError: something is missing or of the wrong kind.
    """
    worst = best_match(Draft202012Validator(prune_schema()).iter_errors(content))
    if worst is not None:
        path = "/".join(str(key) for key in worst.absolute_path) or "the whole file"
        raise StoreError(f"{where}: {path}: {worst.message[:160]}")


@cache
def prune_schema() -> dict[str, Any]:
    """The JSON schema of the results of `sfumato prune`, as shipped with the package."""
    text = files("sfumato.report").joinpath("prune.schema.json").read_text(encoding="utf-8")
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
    return environment.get_template("prune.html.j2")
