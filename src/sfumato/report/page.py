"""The page of a run: everything that was found, in one file that needs no other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from sfumato.report import baselines, figures, pictures, tables, wording
from sfumato.report.frame import both, template, write_page
from sfumato.report.palette import css_variables
from sfumato.report.schema import validate
from sfumato.report.trade_off import trade_off


def write_report(run: str | Path) -> Path:
    """Write `report.html` into the folder of a run.

    Args:
        run: Folder with `results.json`, and `pictures.safetensors` where the run has pictures.

    Returns:
        The path of the page.

    Raises:
        StoreError: the results or the pictures are missing, damaged, or not of this version.
        OutputError: the page cannot be written.
    """
    run = Path(run)
    return write_page(run, validate, lambda found: render(found, pictures.load_pictures(run)))


def render(results: Mapping[str, Any], tensors: Mapping[str, Any]) -> str:
    """The page as text, from valid `results` and the tensors of the pictures (may be empty)."""
    classes = results["data"]["classes"]
    return template("page", jinja2.ChainableUndefined).render(
        results=results,
        title=wording.title(results),
        facts=wording.facts(results),
        leak=wording.LEAK,
        glossary=wording.GLOSSARY,
        colours=(css_variables(0), css_variables(1)),
        settings=tables.flat(results["config"]),
        provenance=tables.flat(results["provenance"]),
        grid=pictures.grid(dict(tensors), classes),
        selection=pictures.selection_maps(dict(tensors), classes),
        **_findings(results),
    )


def _findings(results: Mapping[str, Any]) -> dict[str, Any]:
    """Figures and tables, as far as this run has what they show."""
    found: dict[str, Any] = {}
    if "rounds" in results:
        found["accuracy_figure"] = both(results, figures.accuracy_over_rounds, "accuracy")
        found["trade_off_figure"] = both(results, trade_off, "trade-off")
        fractions = baselines.fractions_with_baselines(results)
        found["trade_off_note"] = wording.trade_off_note(results, fractions)
        found["rounds"] = tables.rounds_table(results)
        found["baselines"] = tables.baselines_table(results)
        found["trade_off"] = tables.trade_off_table(results)
    if results.get("history"):
        found["history_figure"] = both(results, figures.history, "history")
    if "leak" in results:
        found["leak_figure"] = tables.leak(results["leak"])
    if "released" in results:
        found["released"] = tables.released_table(results["released"])
    if "manifest" in results:
        found["shards"] = tables.shards_table(results["manifest"])
        rest = {key: value for key, value in results["manifest"].items() if key != "shards"}
        found["manifest"] = tables.flat(rest)
    return found
