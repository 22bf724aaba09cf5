"""`sfumato pixels train`: a selector and a predictor, with the baselines beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

from sfumato.cli.common.command import Command
from sfumato.cli.common.folder import RunFolder


@final
@dataclass(frozen=True)
class PixelTrainOptions:
    """Train a selector and its predictor, and see at once whether learning pays.

    Beside them stand random pixels and a regular grid, each with a predictor of its own that is
    trained as long. Scores count only pixels that were not bought. Where the grid is as good, the
    first line of OUT/report.html says so. Selector and predictor lie in OUT/networks; sfumato
    pixels suggest asks for pixels with them. An interrupted run goes on where it stopped.
    """

    data: str = "digits"
    """A built-in name (digits), a folder in hub layout, or a hub id. Pictures in the column image;
    class maps in annotation or depth maps in depth say the task, and pictures alone are to be
    inpainted."""
    out: str | None = None
    """Folder of the run; an interrupted run in it goes on. By default runs/pixels-TIME."""
    task: Literal["segmentation", "depth", "inpainting"] | None = None
    """What is predicted, where the columns do not tell or tell something else."""
    column: str | None = None
    """The column of the class or depth maps, if its name is not a usual one."""
    image_column: str = "image"
    """The column of the pictures."""
    classes: int | None = None
    """Of a segmentation: how many; larger numbers in the maps are void. By default as many as
    occur (11 in camvid)."""
    size: str | None = None
    """Height and width that all is brought to, such as 48x64. By default pictures with a side above
    64 are shrunk to 64."""
    limit: int | None = None
    """Take at most so many pictures for training, and as many for testing."""
    k: int | None = None
    """Pixels per picture."""
    share: float | None = None
    """Pixels per picture as a share of all; by default 5 %, and 12.5 % of very small pictures."""
    selector: Literal[
        "stratified", "expected-error", "top-k", "fixed", "uncertainty", "gumbel",
        "probabilistic", "l1", "edges", "jittered", "grid", "random",
    ] = "expected-error"  # fmt: skip
    """What chooses. gumbel, probabilistic and l1 are the source's, with a price per pixel; give
    them --weight."""
    beside: tuple[str, ...] = ("random", "grid")
    """What it is held against, each with a predictor of its own; also jittered, edges, oracle."""
    predictor: str = "auto"
    """What predicts. kernel interpolates, and learns next to nothing; kernel-unet corrects that by
    a network; unet is a network alone; auto takes unet for pictures of at most 256 pixels, and
    kernel-unet for others. module:factory is one of your own: factory(channels, task)
    makes a module that is called with pictures, values and mask (docs/pixels.md)."""
    rounds: tuple[float, ...] = ()
    """In how many rounds the pixels are bought, or their shares, such as 0.5 0.25 0.25; the
    selector sees the labels of earlier rounds. By default one, and for uncertainty a grid of half
    of the pixels and two rounds after it."""
    weight: tuple[float, ...] = ()
    """λ, the price of a pixel, in place of a budget: for gumbel, probabilistic and l1. Several
    give the curve of error against λ."""
    literal: bool = False
    """The source's schedules: temperature 10, × 0.9 in each epoch, and every fifth step without
    noise; for what learns by the gradient."""
    learning: Literal["gains", "gradient"] = "gains"
    """How stratified learns: from pairs of draws, once the predictor has learned, or together with
    it by the gradient through the mask."""
    steps: int = 600
    """Optimiser steps of every predictor; stratified has as many of its own for its gains."""
    batch_size: int = 8
    """Pictures in a step."""
    lr: float = 3e-3
    """Learning rate of selector and predictor."""
    seeds: int = 3
    """Repeat everything with so many seeds; one cannot tell whether learning pays."""
    seed: int = 0
    """The first of them."""
    workers: int = 1
    """Parallel processes; 0 is one per core."""


def run(options: PixelTrainOptions, folder: RunFolder | None) -> list[str]:
    """Train, compare, keep, and write the report."""
    from sfumato.cli.pixels.comparing import train_and_compare

    assert folder is not None
    return train_and_compare(options, folder)


COMMAND = Command(
    name="pixels train",
    summary="train a selector and a predictor, beside random pixels and a grid",
    options=PixelTrainOptions,
    run=run,
    examples=(
        "sfumato pixels train",
        "sfumato pixels train --data path/to/camvid --size 48x64 --share 0.0156",
        "sfumato pixels train --data path/to/rgbd --selector uncertainty --k 48",
        "sfumato pixels train --selector gumbel --weight 0.01 0.1 1",
    ),
)
