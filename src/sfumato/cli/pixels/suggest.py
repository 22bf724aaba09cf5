"""`sfumato pixels suggest`: which pixels of one's own pictures to measure or annotate next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from sfumato.cli.common.command import Command
from sfumato.cli.common.folder import RunFolder


@final
@dataclass(frozen=True)
class PixelSuggestOptions:
    """Choose k pixels of every picture in a folder, and write the questions for an annotator.

    The questions lie in OUT/round-0001 and so on: a table to be filled in, pictures with the
    pixels marked, and files for Label Studio and CVAT. sfumato pixels ingest takes the answers
    back; then the same command again asks for the next pixels, with the labels bought so far as
    inputs. Nothing is lost if it is killed.
    """

    pictures: str
    """A folder of PNG and JPEG files."""
    out: str | None = None
    """Folder of the rounds; rounds in it go on. By default runs/pixels-TIME."""
    run: str | None = None
    """A folder of sfumato pixels train, whose selector chooses."""
    selector: str | None = None
    """With --run: another one of that run. Without: grid, jittered, random or edges, which need no
    training."""
    predictor: str | None = None
    """With --run: module:factory, where the run was trained with a predictor of your own."""
    k: int | None = None
    """Pixels per picture in this round; by default what the run was trained for."""
    format: tuple[str, ...] = ("table", "overlay")
    """Any of table, overlay, label-studio, cvat."""
    classes: tuple[str, ...] = ()
    """Names of the classes to choose from, in the order of their numbers. A run knows its
    classes by number alone if its data did not name them."""
    unit: str | None = None
    """Where an answer is a number and no class: its unit, such as m."""
    size: str | None = None
    """Without a run: height and width of the grid of pixels that is laid over every picture, such
    as 480x640; by default those of the smallest one."""
    seed: int = 0
    """Seed of the draws."""


def run(options: PixelSuggestOptions, folder: RunFolder | None) -> list[str]:
    """Choose, write the questions, and say what to do next."""
    from sfumato.cli.pixels.asking import ask

    assert folder is not None
    return ask(options, folder)


COMMAND = Command(
    name="pixels suggest",
    summary="choose pixels of a folder of pictures, for an annotator",
    options=PixelSuggestOptions,
    run=run,
    examples=(
        "sfumato pixels suggest --run runs/mine --pictures path --format table,label-studio",
        "sfumato pixels suggest --selector grid --pictures path --k 20 --classes sky road car",
    ),
    free=("pictures", "run", "selector", "predictor", "k", "format", "size", "seed"),
)
