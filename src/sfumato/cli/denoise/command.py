"""`sfumato denoise`: which labels look wrong, and a network that does not believe them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

from sfumato.cli.common.command import Command
from sfumato.cli.common.folder import RunFolder


@final
@dataclass(frozen=True)
class DenoiseOptions:
    """Learn from labels of which some may be wrong, and list the suspicious ones.

    The list is OUT/suspects.csv, with pictures in OUT/report.html; the network trained with the
    first method is OUT/model.safetensors. With --noise labels are made wrong on purpose, and the
    report says how many of them are found. An interrupted run goes on where it stopped.
    """

    data: str = "digits"
    """A built-in name (digits), a folder in hub layout, or a hub id. A folder of pictures for each
    class will do, too."""
    out: str | None = None
    """Folder of the run; an interrupted run in it goes on. By default runs/denoise-TIME."""
    labels: str | None = None
    """A folder of saved label noise (noise.json): its labels are taken as given, and those of the
    data as the truth."""
    noise: Literal["none", "patterned", "symmetric", "instance"] = "none"
    """Make labels wrong on purpose: each class taken for one other, for any other, or as the look
    of a record suggests. The labels of the data are then the truth."""
    rate: tuple[float, ...] = ()
    """With --noise: the shares of wrong labels, for example 0 0.2 0.4 for a curve; 0.2 by
    default. With instance noise small shares come out larger; the report says how large."""
    method: tuple[str, ...] = ("forward-count",)
    """Names among sfumato.label_noise.METHODS, for example forward-count dropout se-snn+forward;
    the list of suspects is by the first."""
    score: Literal["loss", "margin", "spread", "cleanlab"] = "loss"
    """What suspicion is measured by: the loss of the given label, its margin, the spread of the
    noise in stochastic layers, or confident learning with networks that did not see the record,
    which takes four trainings more."""
    model: str | None = None
    """module:factory, called with the shape of a record and the number of classes, returns the
    model; by default a small convolutional network."""
    epochs: int | None = None
    """Epochs of each training; by default those of sfumato.label_noise.RECIPE."""
    lr: float | None = None
    """Learning rate; by default that of sfumato.label_noise.RECIPE."""
    seeds: int = 1
    """Repeat everything with so many seeds: 0, 1, 2, ..."""
    size: tuple[int, ...] = ()
    """Height and width that pictures are brought to. By default pictures of mixed sizes, or larger
    than 64 pixels, are brought to 64 x 64, and others stay as they are."""
    limit: int | None = None
    """Take at most so many records for training, and as many for testing."""
    show: int = 60
    """So many suspicious labels are shown in the report; suspects.csv ranks all records."""
    workers: int = 1
    """Parallel processes; 0 is one per core."""


def run(options: DenoiseOptions, folder: RunFolder | None) -> list[str]:
    """Train, rank, and write the list and the report."""
    from sfumato.cli.denoise.run import denoise

    assert folder is not None
    return denoise(options, folder)


COMMAND = Command(
    name="denoise",
    summary="list labels that look wrong, and learn despite them",
    options=DenoiseOptions,
    run=run,
    examples=(
        "sfumato denoise --data path/to/pictures",
        "sfumato denoise --noise patterned --rate 0 0.2 0.4 --method forward-count dropout plain",
        "sfumato denoise --data path/to/mnist --method se-snn+forward --score cleanlab",
    ),
)
