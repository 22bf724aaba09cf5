"""Asking annotators, as `sfumato pixels suggest` and `ingest` do it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import yaml

from sfumato.cli.common.folder import CONFIG, RunFolder
from sfumato.cli.common.progress import Display
from sfumato.cli.pixels.chosen import Chosen, choose_by
from sfumato.cli.pixels.ingest import PixelIngestOptions
from sfumato.cli.pixels.shown import rounds_pictures
from sfumato.cli.pixels.suggest import PixelSuggestOptions
from sfumato.errors import SettingError, SfumatoError, StoreError
from sfumato.files import write_json
from sfumato.nn.mode import sampling
from sfumato.pixels.formats import FAILED, format_named
from sfumato.pixels.rounds import Rounds, ingest, suggest
from sfumato.report.pixels.rounds.page import ROUNDS_SCHEMA, validate_rounds, write_rounds
from sfumato.train import provenance

_COUNTS = ("bought", "answered", "failed", "waiting")


def ask(options: PixelSuggestOptions, folder: RunFolder) -> list[str]:
    """Choose pixels, write the questions, and say what to do next.

    Raises:
        SettingError: options that do not go together.
        DataError: pictures that cannot be used.
        StoreError: a run or rounds that cannot be read, or are about something else.
    """
    if not options.format:
        raise SettingError("--format takes at least one of table, overlay, label-studio, cvat")
    kinds = [format_named(name) for name in dict.fromkeys(options.format)]
    chosen = choose_by(options, folder.path)
    with Display(folder.path) as display, sampling(chosen.selector, "mean"):
        found = suggest(
            options.pictures, folder.path, chosen.selector, chosen.k, chosen.legend,
            formats=kinds, encode=chosen.encode, seed=options.seed,
            progress=lambda done, total: display(
                {"cell": "choosing", "epoch": done, "epochs": total, "unit": "picture"}
            ),
        )  # fmt: skip
    page = _write(folder.path, found.rounds, folder.settings, options.pictures, chosen)
    files = [f"  {path}" for path in found.files]
    next_step = ["sfumato", "pixels", "ingest", "--rounds", str(folder.path), "--answers", "FILE"]
    round_ = found.round
    return [
        f"round {round_.number}: {round_.k} pixels in each of {len(found.rounds.pictures)} "
        f"pictures, {round_.waiting} answers are open",
        *files,
        *_spent(found.rounds).said(),
        f"report: {page}",
        f"next: answer them, then  {shlex.join(next_step)}",
    ]


def take_back(options: PixelIngestOptions) -> list[str]:
    """Take answers, and say what was spent and what comes next.

    Raises:
        DataError: answers that do not fit.
        StoreError: rounds that cannot be read.
    """
    folder = Path(options.rounds)
    kind = None if options.format is None else format_named(options.format)
    found = ingest(
        folder, options.answers, format=kind, missing=options.missing, replace=options.replace,
        tolerance=options.tolerance,
    )  # fmt: skip
    lines = [
        f"{found.added} answers taken, {found.failed} of them failed; {found.repeated} were known "
        "already",
        *_spent(Rounds(folder)).said(),
    ]
    settings = _settings(folder)
    if settings is not None:
        chosen = _chosen_before(settings, folder)
        page = _write(folder, Rounds(folder), settings, settings["pictures"], chosen)
        lines.append(f"report: {page}")
    words = ["sfumato", "pixels", "suggest", "--config", str(folder / CONFIG), "--out", str(folder)]
    if found.waiting:
        return [*lines, f"next: answer the {found.waiting} open questions, and ingest them"]
    return [*lines, f"next: ask for more, with these labels as inputs:  {shlex.join(words)}"]


@final
@dataclass(frozen=True)
class _Spent:
    """What was spent on all pictures."""

    bought: int
    answered: int
    failed: int
    waiting: int

    def said(self) -> list[str]:
        return [
            f"budget: {self.bought} pixels bought, {self.answered} answered, {self.failed} failed, "
            f"{self.waiting} waiting"
        ]


def _spent(rounds: Rounds) -> _Spent:
    budgets = rounds.budget()
    return _Spent(*(sum(getattr(one, key) for one in budgets) for key in _COUNTS))


def _settings(folder: Path) -> dict[str, Any] | None:
    """With what was asked; None where not the command line did."""
    path = folder / CONFIG
    if not path.is_file():
        return None
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8", errors="replace"))
    except yaml.YAMLError as error:
        raise StoreError(f"{path} is damaged: ask again with the options in it") from error
    return found if isinstance(found, dict) and "pictures" in found else None


def _chosen_before(settings: dict[str, Any], folder: Path) -> Chosen | None:
    """The run that chose, for its predictions; None where it is gone, or there is none."""
    if not settings.get("run"):
        return None
    try:
        return choose_by(PixelSuggestOptions(**{**settings, "k": 1}), folder)
    except SfumatoError:
        return None  # the answers are taken; the page does without predictions


def _write(
    folder: Path,
    rounds: Rounds,
    settings: dict[str, Any],
    pictures: str,
    chosen: Chosen | None,
) -> Path:
    """Write results.json and the page of the rounds."""
    budgets = rounds.budget()
    spent = {key: sum(getattr(one, key) for one in budgets) for key in _COUNTS}
    kept = None if chosen is None else chosen.kept
    rounds_pictures(folder, rounds, pictures, kept)
    content = {
        "schema": ROUNDS_SCHEMA,
        "command": "pixels suggest",
        "run": settings.get("run"),
        "size": list(rounds.size),
        "classes": list(rounds.legend.classes),
        "unit": rounds.legend.unit,
        "coloured": kept is not None and kept.task.settings()["task"] == "depth",
        "rounds": [_round(one) for one in rounds.rounds()],
        "spent": spent,
        "pictures": [
            {"picture": one.picture, **{key: getattr(one, key) for key in _COUNTS}}
            for one in budgets
        ],
        "verdict": _verdict(spent, len(budgets)),
        "config": settings,
        "provenance": provenance(),
    }
    validate_rounds(content)
    write_json(folder / "results.json", content)
    return write_rounds(folder)


def _round(one: Any) -> dict[str, Any]:
    answers: Sequence[Any] = [answer for row in one.answers for answer in row]
    failed = answers.count(FAILED)
    return {
        "number": one.number,
        "k": one.k,
        "by": one.by,
        "answered": len(answers) - failed - one.waiting,
        "failed": failed,
        "waiting": one.waiting,
    }


def _verdict(spent: dict[str, int], pictures: int) -> list[str]:
    each = spent["bought"] / pictures
    lines = [
        f"{spent['bought']} pixels of {pictures} pictures were bought, {each:g} in each: "
        f"{spent['answered']} are answered, {spent['failed']} failed, {spent['waiting']} wait."
    ]
    if spent["failed"]:
        share = 100 * spent["failed"] / spent["bought"]
        lines.append(f"{share:.1f} % of the bought pixels gave nothing; they count as paid.")
    return lines
