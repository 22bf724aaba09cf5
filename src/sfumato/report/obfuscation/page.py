"""The page of a run: everything that was found, in one file that needs no other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from sfumato.report.common.frame import both, fill, write_page
from sfumato.report.common.numerals import leak
from sfumato.report.common.pictures import load_pictures
from sfumato.report.common.tables import flat
from sfumato.report.common.wording import LEAK
from sfumato.report.obfuscation import baselines, figures, pictures, tables, words
from sfumato.report.obfuscation.schema import validate
from sfumato.report.obfuscation.trade_off import trade_off


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
    return write_page(run, validate, lambda found: render(found, load_pictures(run)))


def render(results: Mapping[str, Any], tensors: Mapping[str, Any]) -> str:
    """The page as text, from valid `results` and the tensors of the pictures (may be empty)."""
    classes = results["data"]["classes"]
    return fill(
        "obfuscation",
        undefined=jinja2.ChainableUndefined,  # a run has some of what the page can show
        eyebrow=results["command"],
        title=words.title(results),
        facts=words.facts(results),
        verdict=results.get("verdict", ()),
        leak=LEAK,
        glossary=words.GLOSSARY,
        settings=results["config"],
        provenance=results["provenance"],
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
        found["trade_off_note"] = words.trade_off_note(results, fractions)
        found["rounds"] = tables.rounds_table(results)
        found["baselines"] = tables.baselines_table(results)
        found["trade_off"] = tables.trade_off_table(results)
    if results.get("history"):
        found["history_figure"] = both(results, figures.history, "history")
    if "leak" in results:
        found["leak_figure"] = leak(results["leak"])
    if "released" in results:
        found["released"] = tables.released_table(results["released"])
    if "manifest" in results:
        found["shards"] = tables.shards_table(results["manifest"])
        rest = {key: value for key, value in results["manifest"].items() if key != "shards"}
        found["manifest"] = flat(rest)
    return found
