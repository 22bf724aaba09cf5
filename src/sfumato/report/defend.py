"""The page of a defence and of the attacks on it: one file that needs no other."""

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
from sfumato.report import defend_tables, defend_words
from sfumato.report.defend_figures import accuracy_curves, certified_curves
from sfumato.report.defend_pictures import example_strips
from sfumato.report.palette import css_variables
from sfumato.report.pictures import load_pictures
from sfumato.report.svg import NARROW, WIDE, Size, inline
from sfumato.report.tables import flat
from sfumato.report.wording import unbroken

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
    results = read_json(run / "results.json")
    validate_defend(results, str(run / "results.json"))
    target = run / "report.html"
    with atomic(target) as part:
        part.write_text(render_defend(results, load_pictures(run)), encoding="utf-8")
    return target


def render_defend(results: Mapping[str, Any], tensors: Mapping[str, Any]) -> str:
    """The page as text, from valid `results` and the tensors of the pictures (may be empty)."""
    certificates = results["certificates"]
    return _template().render(
        results=results,
        title=defend_words.title(results),
        facts=defend_words.facts(results),
        glossary=defend_words.GLOSSARY,
        limits=defend_words.LIMITS,
        colours=(css_variables(0), css_variables(1)),
        accuracy_figure=_both(results, accuracy_curves, "accuracy"),
        certified_figure=_both(results, certified_curves, "certified") if certificates else None,
        worst=defend_tables.worst_table(results),
        attacks=defend_tables.attacks_table(results),
        masking=defend_tables.masking_table(results),
        certificates=defend_tables.certificates_table(results) if certificates else None,
        strips=example_strips(tensors, results["data"]["classes"]),
        settings=flat(results["config"]),
        provenance=flat(results["provenance"]),
    )


def validate_defend(content: Any, where: str = "results.json") -> None:
    """Check results against their schema.

    Raises:
        StoreError: something is missing or of the wrong kind.
    """
    worst = best_match(Draft202012Validator(defend_schema()).iter_errors(content))
    if worst is not None:
        path = "/".join(str(key) for key in worst.absolute_path) or "the whole file"
        raise StoreError(f"{where}: {path}: {worst.message[:160]}")


@cache
def defend_schema() -> dict[str, Any]:
    """The JSON schema of `results.json` of `sfumato defend`, as shipped with the package."""
    text = files("sfumato.report").joinpath("defend.schema.json").read_text(encoding="utf-8")
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
    return environment.get_template("defend.html.j2")
