"""`sfumato release`: one obfuscated copy of every record, to be handed on."""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, final

from sfumato.cli.common.command import Command
from sfumato.cli.common.folder import RunFolder


@final
@dataclass(frozen=True, kw_only=True)
class ReleaseOptions:
    """Release the records of a data set once, with their own labels, into OUT/released.

    Hand on that folder and nothing else of the run. An interrupted release goes on where it
    stopped, and no record is drawn twice. There is no seed: noise that can be drawn again can be
    taken away again.
    """

    obfuscator: str
    """Folder that `sfumato fit` wrote (the run, or its folder obfuscator)."""
    data: str = "digits"
    """A built-in name (digits), a folder in hub layout, or a hub id."""
    split: str = "train"
    """Which records of the data set."""
    out: str | None = None
    """Folder of the run; an interrupted run in it goes on. By default runs/release-TIME."""
    source: Literal["torch", "os"] = "os"
    """Where the noise comes from: the operating system's cryptographic generator, or torch's."""
    shard_size: int = 4096
    """Records in a file."""
    share: float = 1.0
    """Release only so many of the records, those that a model learns most from. The others stay at
    home; OUT/chosen.json says which ones went out."""
    policy: Literal["auto", "random", "hard"] = "auto"
    """Which ones: those that the model of --weights knows least, random ones, or with auto the
    former where that model is right on 80 % of the records."""
    model: str | None = None
    """module:factory of that model; by default a small convolutional network."""
    weights: str | None = None
    """Its trained weights, a safetensors file; it must not have seen the records."""


def run(options: ReleaseOptions, folder: RunFolder | None) -> list[str]:
    """Release, and write the report."""
    from torch.utils.data import Dataset

    import sfumato as sf
    from sfumato.cli.common.progress import Display
    from sfumato.cli.release.choosing import choose
    from sfumato.data import load
    from sfumato.errors import UnauditedWarning
    from sfumato.obfuscation.release import release_dataset

    assert folder is not None
    path = Path(options.obfuscator)
    if (path / "obfuscator").is_dir():  # the folder of a run, with the obfuscator inside
        path = path / "obfuscator"
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UnauditedWarning)
        obfuscator = sf.Obfuscator.load(path)
    data: Dataset[Any] = load(options.data, options.split)
    if options.share < 1:
        data = choose(options, data, folder.path)
    released = folder.path / "released"
    with Display(folder.path) as display:
        manifest = release_dataset(
            obfuscator,
            data,
            released,
            source=options.source,
            shard_size=options.shard_size,
            progress=lambda done, total: display(
                {"cell": "release", "unit": "record", "epoch": done, "epochs": total}
            ),
        )
    report = folder.finish(
        {
            "data": {
                "name": options.data,
                "train": manifest.count,
                "shape": list(manifest.record_shape),
                "classes": list(manifest.classes),
            },
            "manifest": asdict(manifest),
        }
    )
    lines = [f"warning: {warning.message}" for warning in said]
    return [*lines, f"released: {released} ({manifest.count} records)", f"report: {report}"]


COMMAND = Command(
    name="release",
    summary="write one obfuscated copy of every record",
    options=ReleaseOptions,
    run=run,
    examples=(
        "sfumato release --obfuscator runs/fit --data path/to/mnist --out runs/release",
        "sfumato release --obfuscator obfuscator --data path/to/pictures --shard_size 1000",
        "sfumato release --obfuscator runs/fit --share 0.1 --weights clean-part.safetensors",
    ),
)
