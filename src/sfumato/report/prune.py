"""The page of a pruned network: one file that needs no other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sfumato.report import prune_figures, prune_paper, prune_tables, prune_words
from sfumato.report.frame import both, check, schema_of, template, write_page
from sfumato.report.palette import css_variables
from sfumato.report.tables import flat

SCHEMA = "sfumato.prune/1"
PAPER_SETTING = prune_paper.SETTING


def write_prune(run: str | Path) -> Path:
    """Write `report.html` into the folder of a run of `sfumato prune`, from its `results.json`.

    Raises:
        StoreError: the results are missing, damaged, or not of this version.
        OutputError: the page cannot be written.
    """
    return write_page(Path(run), validate_prune, render_prune)


def render_prune(results: Mapping[str, Any]) -> str:
    """The page as text, from valid `results`."""
    return template("prune").render(
        results=results,
        title=prune_words.title(results),
        facts=prune_words.facts(results),
        glossary=prune_words.GLOSSARY,
        colours=(css_variables(0), css_variables(1)),
        front_figure=both(results, prune_figures.front, "front"),
        drawing=both(results, prune_figures.architecture, "architecture"),
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
    check(content, prune_schema(), where)


def prune_schema() -> dict[str, Any]:
    """The JSON schema of the results of `sfumato prune`, as shipped with the package."""
    return schema_of("prune")
