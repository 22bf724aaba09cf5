"""Whole steps on folders: suggest pixels and write the questions, take the answers back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from sfumato.errors import SettingError
from sfumato.pixels.formats import Format, Legend, Overlay, Sheet, format_named, format_of
from sfumato.pixels.rounds.choosing import Encode
from sfumato.pixels.rounds.folder import PictureFolder
from sfumato.pixels.rounds.round import Round
from sfumato.pixels.rounds.rounds import Ingested, Missing, Rounds
from sfumato.pixels.selectors.base import Selector


@final
@dataclass(frozen=True)
class Suggested:
    """A round that is ready to be answered.

    Args:
        rounds: the folder it is kept in.
        round: with the places.
        folder: of the files for the annotator.
        files: these files; those that were there already are not written again.
    """

    rounds: Rounds
    round: Round
    folder: Path
    files: tuple[Path, ...]


def suggest(
    pictures: str | Path,
    out: str | Path,
    selector: Selector,
    k: int,
    legend: Legend,
    *,
    formats: Sequence[str | Format] = ("table", "overlay"),
    encode: Encode | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Suggested:
    """Suggest k pixels of every picture in a folder, and write the questions.

    The files are written to `out/round-0001/` and so on. A file that is there is left as it is:
    somebody may be filling it in. Run again, this goes on where it was cut short.

    Args:
        pictures: a folder of PNG and JPEG files.
        out: a folder for the rounds.
        selector: its size is that of the grid laid over every picture.
        k: pixels per picture.
        legend: what an answer may be.
        formats: names ("table", "overlay", "label-studio", "cvat") or formats.
        encode: for a selector that looks at bought labels: `task.encode`.
        seed: of the draws.
        progress: called with the number of pictures done and the number in all.

    Raises:
        SfumatoError: what `find_pictures`, `Rounds.begin` and `Rounds.suggest` raise.
    """
    if Path(out).resolve().is_relative_to(Path(pictures).resolve()):
        raise SettingError(
            f"{out} is inside of the folder of pictures, and overlays are pictures too: keep the "
            "rounds in another folder"
        )
    kinds = [format_named(one) if isinstance(one, str) else one for one in formats]
    found = PictureFolder(pictures, selector.size, selector.channels)
    rounds = Rounds.begin(out, found.pictures, selector.size, legend)
    one = rounds.suggest(selector, found, k, encode=encode, seed=seed, progress=progress)
    folder = rounds.folder / f"round-{one.number:04d}"
    sheet = rounds.sheet(one.number, root=pictures)
    files = [path for kind in kinds for path in _written(kind, sheet, folder)]
    return Suggested(rounds, one, folder, tuple(files))


def ingest(
    out: str | Path,
    path: str | Path,
    *,
    format: str | Format | None = None,  # noqa: A002 - the name of the option
    missing: Missing = "error",
    replace: bool = False,
    tolerance: int = 0,
) -> Ingested:
    """Take the answers of a file back into the rounds.

    Args:
        out: the folder of the rounds.
        path: a filled table (.csv), an export of Label Studio (.json) or of CVAT (.xml, .zip).
        format: by default the one that the suffix tells.
        missing: see `Rounds.ingest`.
        replace: see `Rounds.ingest`.
        tolerance: see `Rounds.ingest`.

    Raises:
        SfumatoError: what `Format.read` and `Rounds.ingest` raise.
    """
    rounds = Rounds(out)
    kind = format_of(path) if format is None else format
    kind = format_named(kind) if isinstance(kind, str) else kind
    answers = kind.read(path, Sheet(rounds.pictures, (), rounds.legend))
    return rounds.ingest(answers, missing=missing, replace=replace, tolerance=tolerance)


def _written(kind: Format, sheet: Sheet, folder: Path) -> list[Path]:
    there = folder / kind.main
    if there.exists() and not isinstance(kind, Overlay):
        return [there]
    return kind.write(sheet, folder)
