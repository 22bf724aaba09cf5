"""What the engine cannot use or write: one clear line, and no half file under a final name."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.utils.data import Dataset, TensorDataset

import sfumato as sf
from sfumato.data.records import Records
from sfumato.errors import DataError, OutputError, SettingError, SfumatoError, StoreError
from tests.obfuscation import tiny

FEW = tiny.plan(fractions=(0.2,), seeds=(0,), baselines=False)


def run(out: Path, data: Any = None, test: Any = None, **changes: Any) -> dict[str, Any]:
    train, held = tiny.records()
    data, test = train if data is None else data, held if test is None else test
    return sf.incremental(tiny.linear, data, test=test, plan=FEW, out=out, **changes)


def told(kind: type[SfumatoError], message: str, call: Callable[[], object]) -> None:
    """`call` raises an error of one line that matches."""
    with pytest.raises(kind, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def spoiled(change: Callable[[torch.Tensor, torch.Tensor], object]) -> Records:
    train = tiny.records()[0]
    inputs, labels = train.inputs.clone(), train.labels.clone()
    change(inputs, labels)
    return Records(inputs, labels, train.classes, "mine")


class Mixed(Dataset[Any]):
    """Pictures of two sizes."""

    name = "mixed"

    def __len__(self) -> int:
        return 20

    def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
        return torch.zeros(1, 8, 8 if number < 10 else 9), number % 4


def nan(inputs: torch.Tensor, _: torch.Tensor) -> None:
    inputs[17, 0, 3, 3] = float("nan")


def infinity(inputs: torch.Tensor, _: torch.Tensor) -> None:
    inputs[17] = float("inf")


def too_large(_: torch.Tensor, labels: torch.Tensor) -> None:
    labels[17] = 4


def negative(_: torch.Tensor, labels: torch.Tensor) -> None:
    labels[17] = -1


def one_class(_: torch.Tensor, labels: torch.Tensor) -> None:
    labels[:] = 2


NOTHING = TensorDataset(torch.zeros(0, 1, 8, 8), torch.zeros(0, dtype=torch.long))
UNUSABLE: dict[str, tuple[str, Callable[[], Any]]] = {
    "NaN": ("record 17 of mine holds NaN or infinity", lambda: spoiled(nan)),
    "infinity": ("record 17 of mine holds NaN or infinity", lambda: spoiled(infinity)),
    "label too large": ("record 17 of mine has the label 4", lambda: spoiled(too_large)),
    "negative label": ("record 17 of mine has the label -1", lambda: spoiled(negative)),
    "one class": ("have the label 2.*at least two classes", lambda: spoiled(one_class)),
    "no record": ("holds no records", lambda: NOTHING),
    "mixed sizes": (r"8.*9", Mixed),
    "no label": ("label", lambda: TensorDataset(torch.zeros(4, 1, 8, 8))),
}


@pytest.mark.parametrize("name", UNUSABLE)
@pytest.mark.parametrize("part", ["data", "test"])
def test_records_for_incremental_training(tmp_path: Path, name: str, part: str) -> None:
    message, make = UNUSABLE[name]
    told(DataError, message, lambda: run(tmp_path / "out", **{part: make()}))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", [name for name in UNUSABLE if name != "one class"])
def test_records_for_a_fit(name: str) -> None:
    message, make = UNUSABLE[name]
    obfuscator = sf.obfuscation.conditional((1, 8, 8), 4, 0.5)
    model = tiny.linear((1, 8, 8), 4)
    told(DataError, message, lambda: sf.fit(obfuscator, model, make()))


@pytest.mark.parametrize("fraction", [0.0, -0.05, 1.5, float("nan")])
def test_a_fraction_that_is_none(tmp_path: Path, fraction: float) -> None:
    message = r"a fraction must lie in \(0, 1\]"
    told(SettingError, message, lambda: run(tmp_path / "out", fractions=(fraction,)))
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        told(OutputError, "cannot write .*choose another folder", lambda out=out: run(out))
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("whole", [0, 1, 9, 20])
def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: int) -> None:
    """After `whole` files the disk is full: the next one is not safe on it when it is synced."""
    sync, written = os.fsync, 0

    def full(handle: int) -> None:
        nonlocal written
        written += 1
        if written > whole:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    monkeypatch.setattr(os, "fsync", full)
    told(OutputError, "disk full .*run the same command again", lambda: run(tmp_path / "out"))
    monkeypatch.undo()
    out = tmp_path / "out"
    assert not list(out.rglob("*.part"))
    for path in out.rglob("*.json"):
        json.loads(path.read_text(encoding="utf-8"))
    for path in out.rglob("*.safetensors"):
        load_file(path)
    assert tiny.settled(run(out)) == tiny.settled(run(tmp_path / "other"))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


STATE = Path("state", "round-0.2", "seed-0")


@pytest.mark.parametrize(
    "damaged",
    [
        Path("run.json"),
        Path("cells", "clean-0.2", "seed-0.json"),
        STATE / "clean.safetensors",
        STATE / "release.safetensors",
        STATE / "obfuscator" / "obfuscator.json",
        STATE / "leak.json",
    ],
    ids=str,
)
def test_a_damaged_file_of_a_run(tmp_path: Path, damaged: Path) -> None:
    run(tmp_path)
    (tmp_path / "cells" / "round-0.2" / "seed-0.json").unlink()
    cut(tmp_path / damaged)
    told(StoreError, damaged.name, lambda: run(tmp_path))


def test_a_damaged_checkpoint(tmp_path: Path) -> None:
    def interrupted(name: str, _: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, on_done=interrupted)
    (tmp_path / "cells" / "clean-0.2" / "seed-0.json").unlink()
    cut(tmp_path / STATE / "clean.checkpoint")
    told(StoreError, r"clean\.checkpoint is damaged .*delete it", lambda: run(tmp_path))


def test_a_state_that_was_tidied_away(tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / "cells" / "round-0.2" / "seed-0.json").unlink()
    (tmp_path / STATE / "clean.safetensors").unlink()
    (tmp_path / STATE / "obfuscator" / "obfuscator.json").unlink()
    told(StoreError, r"clean\.safetensors is missing or damaged", lambda: run(tmp_path))
