"""The page of the rounds of an annotator: one file that needs no other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sfumato.report.common.frame import check, fill, schema_of, write_page
from sfumato.report.common.numerals import grouped
from sfumato.report.common.pictures import Strip, load_pictures
from sfumato.report.common.tables import Row, Table
from sfumato.report.pixels.pictures import coloured, painted, strip

ROUNDS_SCHEMA = "sfumato.pixels-rounds/1"
LISTED = 50
"""Pictures in the table; results.json has all."""

GLOSSARY = (
    ("bought", "Pixels that were asked for, in all rounds: what is paid."),
    ("answered", "Those that came back with a class or a number."),
    ("failed", "Those whose measurement gave nothing. They count as bought."),
    ("waiting", "Those that nobody has answered yet."),
)


def write_rounds(run: str | Path) -> Path:
    """Write `report.html` into the folder of `sfumato pixels suggest`.

    Args:
        run: folder with `results.json` and `pictures.safetensors`.

    Returns:
        The path of the page.

    Raises:
        StoreError: the results or the pictures are missing, damaged, or not of this version.
        OutputError: the page cannot be written.
    """
    run = Path(run)
    return write_page(run, validate_rounds, lambda found: render_rounds(found, load_pictures(run)))


def render_rounds(results: Mapping[str, Any], tensors: Mapping[str, Any]) -> str:
    """The page as text, from valid `results` and the tensors of the pictures (may be empty)."""
    pictures, spent = len(results["pictures"]), results["spent"]
    return fill(
        "pixels/rounds",
        results=results,
        eyebrow=results["command"],
        title=f"Rounds of {grouped(pictures)} pictures",
        facts=[
            f"{len(results['rounds'])} rounds",
            f"{grouped(spent['bought'])} pixels bought",
            f"a grid of {results['size'][0]} × {results['size'][1]}",
        ],
        verdict=results["verdict"],
        glossary=GLOSSARY,
        rounds=rounds_table(results["rounds"]),
        pictures=pictures_table(results["pictures"]),
        more=max(0, pictures - LISTED),
        strips=_strips(results, tensors),
        settings=results["config"],
        provenance=results["provenance"],
    )


def rounds_table(rounds: Sequence[Mapping[str, Any]]) -> Table:
    """Round by round what was asked and what came back."""
    table = Table(["round", "pixels per picture", "answered", "failed", "waiting", "chosen by"])
    for one in rounds:
        counts = [grouped(one[key]) for key in ("k", "answered", "failed", "waiting")]
        table.rows.append(Row(str(one["number"]), "", [*counts, one["by"]]))
    return table


def pictures_table(pictures: Sequence[Mapping[str, Any]]) -> Table:
    """What was spent on each picture; those that wait for the most come first."""
    keys = ("bought", "answered", "failed", "waiting")
    table = Table(["picture", *keys])
    for one in sorted(pictures, key=lambda one: -one["waiting"])[:LISTED]:
        table.rows.append(Row(one["picture"], "", [grouped(one[key]) for key in keys]))
    return table


def validate_rounds(content: Any, where: str = "results.json") -> None:
    """Check results against their schema.

    Raises:
        StoreError: something is missing or of the wrong kind.
    """
    check(content, schema_of("pixels/rounds"), where)


def _strips(results: Mapping[str, Any], tensors: Mapping[str, Any]) -> list[Strip]:
    if "image" not in tensors:
        return []
    images = [coloured(one) for one in tensors["image"]]
    rows = [
        strip("Asked", "in all rounds", images, tensors["bought"]),
        strip("Answered", "what is known by now", images, tensors["valid"]),
    ]
    if "prediction" in tensors:
        classes = len(results["classes"])
        ends = float(tensors["prediction"].min()), float(tensors["prediction"].max())
        about = "by the run's predictor, from these answers"
        made = [painted(one, classes, ends, results["coloured"]) for one in tensors["prediction"]]
        rows.append(strip("Predicted", about, made))
    return rows
