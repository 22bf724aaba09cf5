"""`sfumato pixels evaluate`: the budget curve, or a trained run on other pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

from sfumato.cli.common.command import Command
from sfumato.cli.common.folder import RunFolder


@final
@dataclass(frozen=True)
class PixelEvaluateOptions:
    """Error against pixels per picture: many selectors, budgets and seeds in one run.

    Each selector has a predictor of its own at each budget. The oracle sees the labels: it is no
    method, and shows what a better choice could still gain. With --run nothing is trained, and the
    selectors of that run are scored on other pictures. An interrupted run goes on cell by cell.
    """

    data: str = "digits"
    """A built-in name (digits), a folder in hub layout, or a hub id; see sfumato pixels train."""
    out: str | None = None
    """Folder of the run; an interrupted run in it goes on. By default runs/pixels-TIME."""
    run: str | None = None
    """A folder of sfumato pixels train: score what was trained there."""
    selectors: tuple[str, ...] = ()
    """By default random grid edges expected-error uncertainty oracle, or with --run all of that
    run; there are also stratified jittered top-k fixed."""
    k: tuple[int, ...] = ()
    """Pixels per picture, one or more."""
    share: tuple[float, ...] = ()
    """The same as shares of all pixels; by default 0.01 0.02 0.05, and more of very small
    pictures. With --run the budget of that run."""
    task: Literal["segmentation", "depth", "inpainting"] | None = None
    """What is predicted, where the columns do not tell or tell something else."""
    column: str | None = None
    """The column of the class or depth maps, if its name is not a usual one."""
    image_column: str = "image"
    """The column of the pictures."""
    classes: int | None = None
    """Of a segmentation: how many; larger numbers in the maps are void."""
    size: str | None = None
    """Height and width that all is brought to, such as 48x64; by default pictures with a side above
    64 are shrunk to 64."""
    limit: int | None = None
    """Take at most so many pictures for training, and as many for testing."""
    predictor: str = "auto"
    """What predicts. kernel interpolates, and learns next to nothing; kernel-unet corrects that by
    a network; unet is a network alone; auto takes unet for pictures of at most 256 pixels, and
    kernel-unet for others. module:factory is one of your own: factory(channels, task)
    makes a module that is called with pictures, values and mask (docs/pixels.md). With --run
    it is needed only where the run has one of your own."""
    rounds: tuple[float, ...] = ()
    """In how many rounds, or of which shares, those selectors buy that look at labels."""
    steps: int = 600
    """Optimiser steps of every predictor; stratified has as many of its own."""
    batch_size: int = 8
    """Pictures in a step."""
    lr: float = 3e-3
    """Learning rate of selector and predictor."""
    seeds: int = 3
    """Repeat everything with so many seeds."""
    seed: int = 0
    """The first of them."""
    workers: int = 1
    """Parallel processes; 0 is one per core."""


def run(options: PixelEvaluateOptions, folder: RunFolder | None) -> list[str]:
    """Score everything, and write the report."""
    from sfumato.cli.pixels.comparing import evaluate_all

    assert folder is not None
    return evaluate_all(options, folder)


COMMAND = Command(
    name="pixels evaluate",
    summary="the error against pixels per picture, of all selectors and an oracle",
    options=PixelEvaluateOptions,
    run=run,
    examples=(
        "sfumato pixels evaluate --k 4 8 16",
        "sfumato pixels evaluate --data path/to/camvid --share 0.01 0.02 0.05 --seeds 3",
        "sfumato pixels evaluate --run runs/mine --data path/to/other",
    ),
)
