"""Which selector `sfumato pixels suggest` asks, for how many pixels, and about what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import final

from torch import Tensor

from sfumato.cli.pixels.contenders import SELECTORS, UNTRAINED
from sfumato.cli.pixels.kept import Kept, entries, load_kept
from sfumato.cli.pixels.material import size_of
from sfumato.cli.pixels.suggest import PixelSuggestOptions
from sfumato.errors import SettingError, StoreError
from sfumato.pixels.formats import Legend
from sfumato.pixels.rounds import Rounds, find_pictures, legend_of
from sfumato.pixels.selectors import Selector
from sfumato.pixels.tasks import Segmentation
from sfumato.pixels.training import split_rounds


@final
@dataclass(frozen=True, eq=False)
class Chosen:
    """What chooses.

    Attributes:
        selector: trained, or one that needs no training.
        k: pixels per picture in this round.
        legend: what an answer may be.
        encode: from answers to what a selector sees; None for one that looks at none.
        kept: the selector's run, where there is one.
    """

    selector: Selector
    k: int
    legend: Legend
    encode: Callable[[Tensor], Tensor] | None
    kept: Kept | None


def choose_by(options: PixelSuggestOptions, out: Path) -> Chosen:
    """The selector that the options name.

    Raises:
        SettingError: options that do not go together, or no budget.
        DataError: a folder of pictures that cannot be read.
        StoreError: the run cannot be read.
    """
    if options.k is not None and options.k < 1:
        raise SettingError(f"--k must be at least 1, not {options.k}")
    return _untrained(options) if options.run is None else _trained(options, out)


def _untrained(options: PixelSuggestOptions) -> Chosen:
    name = options.selector
    if name not in UNTRAINED:
        what = "give --run, or" if name is None else f"--selector {name} needs a --run, or is"
        raise SettingError(f"{what} --selector {', '.join(UNTRAINED)}, which need no training")
    if options.k is None:
        raise SettingError("say with --k how many pixels per picture to ask for")
    if bool(options.classes) == (options.unit is not None):
        raise SettingError(
            "say what an answer may be: --classes sky road car, or for a number its unit, --unit m"
        )
    legend = Legend(tuple(options.classes), unit=options.unit or "")
    size = size_of(options.size)
    if size is None:
        found = find_pictures(options.pictures)
        size = min(one.height for one in found), min(one.width for one in found)
    return Chosen(SELECTORS[name](3, size).eval(), options.k, legend, None, None)


def _trained(options: PixelSuggestOptions, out: Path) -> Chosen:
    assert options.run is not None
    if options.size is not None:
        raise SettingError("--size is that of the run: leave it out")
    entry = entries(options.run, options.selector)[0]
    kept = load_kept(Path(options.run) / entry["folder"], options.predictor)
    legend = legend_of(kept.task)
    if options.classes:
        if not isinstance(kept.task, Segmentation) or len(options.classes) != kept.task.classes:
            raise SettingError(
                f"--classes names {len(options.classes)} classes, and the run has "
                f"{len(legend.classes)}"
            )
        legend = Legend(tuple(options.classes))
    elif options.unit is not None:
        raise SettingError("--unit is that of the run: leave it out")
    k = options.k if options.k is not None else _next_portion(kept, out)
    encode = kept.task.encode if kept.selector.values else None
    return Chosen(kept.selector, k, legend, encode, kept)


def _next_portion(kept: Kept, out: Path) -> int:
    """The pixels of the round that is open, or of the next one in the plan of the training."""
    try:
        before = Rounds(out).rounds()
    except StoreError:
        if (out / "rounds.json").exists():
            raise
        before = []
    if before and not before[-1].complete:
        return before[-1].k
    portions = split_rounds(kept.k, kept.rounds)
    if len(before) >= len(portions):
        raise SettingError(
            f"the {kept.k} pixels per picture that the run was trained for are bought: say with "
            "--k how many more to ask for"
        )
    return portions[len(before)]
