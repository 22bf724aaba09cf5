"""What every page is made with: its frame, its schema, its figures for two widths of screen."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from markupsafe import Markup
from matplotlib.figure import Figure

from sfumato.errors import StoreError
from sfumato.files import atomic, read_json
from sfumato.report.common.palette import css_variables
from sfumato.report.common.svg import NARROW, WIDE, Size, inline
from sfumato.report.common.tables import flat
from sfumato.report.common.wording import unbroken

RESULTS, PAGE = "results.json", "report.html"


def write_page(
    run: Path,
    validate: Callable[[Any, str], None],
    render: Callable[[Mapping[str, Any]], str],
) -> Path:
    """Write `report.html` into the folder of a run, from its `results.json`.

    Args:
        run: the folder.
        validate: raises a `StoreError` for results that do not fit; gets them and the file's name.
        render: the page of valid results, as text.

    Returns:
        The path of the page.

    Raises:
        StoreError: the results are missing, damaged, or not of this version.
        OutputError: the page cannot be written.
    """
    results = read_json(run / RESULTS)
    validate(results, str(run / RESULTS))
    html = render(results)
    with atomic(run / PAGE) as part:
        part.write_text(html, encoding="utf-8")
    return run / PAGE


@cache
def schema_of(name: str) -> dict[str, Any]:
    """The JSON schema in the folder of the page `name`, as shipped with the package."""
    return json.loads((files("sfumato.report") / name / "schema.json").read_text(encoding="utf-8"))


def check(content: Any, schema: Mapping[str, Any], where: str) -> None:
    """Check what a JSON file holds, or is going to hold, against a schema.

    Raises:
        StoreError: something is missing or of the wrong kind; the message gives the path of the
            offending key, for example `rounds[0].leak.mean`.
    """
    worst = best_match(Draft202012Validator(schema).iter_errors(content))
    if worst is not None:
        raise StoreError(f"{where}: {_explain(worst)}")


def fill(
    page: str,
    *,
    settings: Mapping[str, Any] | Sequence[tuple[str, str]],
    provenance: Mapping[str, Any],
    undefined: type[jinja2.Undefined] = jinja2.StrictUndefined,
    **content: Any,
) -> str:
    """The text of a page: its own template, in the frame that all pages have.

    Args:
        page: the folder of the page in this package, where `page.html.j2` lies.
        settings: nested, or as lines already.
        provenance: nested.
        undefined: what a name is that is not among `content`; by default an error.
        **content: `eyebrow`, `title`, `facts`, `verdict` and `glossary`, which the frame shows,
            and whatever the page's own template names.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sfumato.report", package_path=""),
        autoescape=True,
        undefined=undefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["unbroken"] = unbroken
    return environment.get_template(f"{page}/page.html.j2").render(
        colours=(css_variables(0), css_variables(1)),
        settings=flat(settings) if isinstance(settings, Mapping) else settings,
        provenance=flat(provenance),
        **content,
    )


def both(
    subject: Any, draw: Callable[[Any, Size], Figure], name: str, title: str | None = None
) -> tuple[Markup, Markup]:
    """The figure for a wide and for a narrow screen; the page shows the one that fits.

    Args:
        subject: what is drawn.
        draw: makes the figure of a size.
        name: tells its parts from those of other figures of the page.
        title: for those who cannot see it; by default the first line of what `draw` says it does.
    """
    words = title or (draw.__doc__ or name).splitlines()[0]
    drawn = [inline(lambda size: draw(subject, size), size, name, words) for size in (WIDE, NARROW)]
    return Markup(drawn[0]), Markup(drawn[1])


def _explain(error: ValidationError) -> str:
    path = list(error.absolute_path)
    if error.validator == "required":
        wanted = error.validator_value
        assert isinstance(wanted, list) and isinstance(error.instance, dict)
        missing = next(key for key in wanted if key not in error.instance)
        return f"{_dotted([*path, missing])} is missing"
    shown = _dotted(path) or "the whole file"
    message = error.message
    if len(message) > 160:  # a whole round printed into one line helps nobody
        message = f"does not fit: it breaks the rule {error.validator}"
    return f"{shown}: {message}"


def _dotted(path: Iterable[str | int]) -> str:
    parts = [f"[{key}]" if isinstance(key, int) else f".{key}" for key in path]
    return "".join(parts).lstrip(".")
