"""The page of a pruned network: one file that needs no other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sfumato.report.common.frame import both, check, fill, schema_of, write_page
from sfumato.report.prune import figures, paper, tables, words

SCHEMA = "sfumato.prune/1"
PAPER_SETTING = paper.SETTING


def write_prune(run: str | Path) -> Path:
    """Write `report.html` into the folder of a run of `sfumato prune`, from its `results.json`.

    Raises:
        StoreError: the results are missing, damaged, or not of this version.
        OutputError: the page cannot be written.
    """
    return write_page(Path(run), validate_prune, render_prune)


def render_prune(results: Mapping[str, Any]) -> str:
    """The page as text, from valid `results`."""
    return fill(
        "prune",
        results=results,
        eyebrow=results["command"],
        title=words.title(results),
        facts=words.facts(results),
        verdict=results["verdict"],
        glossary=words.GLOSSARY,
        front_figure=both(results, figures.front, "front"),
        drawing=both(results, figures.architecture, "architecture"),
        costs=tables.costs_table(results),
        layers=tables.layers_table(results),
        speed=tables.speed_table(results),
        front=tables.front_table(results),
        published=tables.published_table(results),
        settings=results["config"],
        provenance=results["provenance"],
    )


def validate_prune(content: Any, where: str = "results.json") -> None:
    """Check the results of `sfumato prune` against their schema.

    Raises:
        StoreError: something is missing or of the wrong kind.
    """
    check(content, schema_of("prune"), where)
