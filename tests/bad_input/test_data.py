"""Each kind of unusable data gives one line that says what is wrong, where, and what to do."""

from __future__ import annotations

import re
import shutil
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub
import numpy as np
import pytest
import torch
from huggingface_hub.errors import OfflineModeIsEnabled
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from sfumato.data import gather, load, open_hub, splits
from sfumato.data.optional import needs
from sfumato.errors import DataError, MissingDependency
from sfumato.obfuscation.release import release_dataset
from tests.data.pets import Writer, encode, write_split, write_table
from tests.obfuscation.stand_in import StandIn, Stream


@pytest.fixture
def pixels() -> np.ndarray:
    datasets.disable_progress_bars()
    return np.random.default_rng(0).integers(0, 256, (8, 6, 5), dtype=np.uint8)


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    return partial(write_split, tmp_path / "pets")


def told(message: str, call: Callable[[], object]) -> str:
    """`call` raises a `DataError` of one line that matches."""
    with pytest.raises(DataError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def records(values: list[Any], labels: list[Any]) -> Dataset[Any]:
    class Listed(Dataset[Any]):
        name = "mine"

        def __len__(self) -> int:
            return len(values)

        def __getitem__(self, number: int) -> tuple[Any, Any]:
            return values[number], labels[number]

    return Listed()


ONE = torch.zeros(1, 2, 2)
BROKEN = torch.full((1, 2, 2), torch.nan)
ENDLESS = torch.full((1, 2, 2), -torch.inf)

UNUSABLE: dict[str, tuple[list[Any], list[Any], str]] = {
    "nothing": ([], [], "mine holds no records"),
    "NaN": ([ONE, BROKEN], [0, 1], "record 1 of mine holds NaN or infinity"),
    "infinity": ([ENDLESS, ONE], [0, 1], "record 0 of mine holds NaN or infinity"),
    "mixed sizes": (
        [ONE, ONE, torch.zeros(1, 2, 3)],
        [0, 1, 0],
        "record 2 of mine has the size 1x2x3, but those before it have 1x2x2",
    ),
    "negative label": ([ONE, ONE], [0, -1], "record 1 of mine has the label -1"),
    "one class": ([ONE, ONE], [3, 3], "all 2 records of mine have the label 3"),
    "no tensor": ([ONE, "x"], [0, 1], "input of record 1 of mine must be .* tensor, not str"),
    "bytes": (
        [ONE.byte()],
        [0],
        r"input of record 0 of mine must be a floating point tensor, not uint8 \[1, 2, 2\]",
    ),
    "label in text": ([ONE, ONE], [0, "cat"], "label of record 1 .* whole number, not str"),
    "broken label": ([ONE, ONE], [0, 0.5], "label of record 1 .* whole number, not float"),
    "many labels": (
        [ONE, ONE],
        [torch.zeros(2), 1],
        r"label of record 0 .* not float32 \[2\]",
    ),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_gather(kind: str) -> None:
    values, labels, message = UNUSABLE[kind]
    told(message, lambda: gather(records(values, labels)))


@pytest.mark.parametrize("kind", [kind for kind in UNUSABLE if kind != "one class"])
def test_release(kind: str, tmp_path: Path) -> None:
    values, labels, message = UNUSABLE[kind]
    told(message, lambda: release_dataset(StandIn(), records(values, labels), tmp_path))
    assert not [file for file in tmp_path.iterdir() if file.suffix in (".parquet", ".part")]
    release_dataset(StandIn(), Stream(3), tmp_path)  # once repaired, it may go to the same folder


def test_label_beyond_the_class_names() -> None:
    dataset = records([ONE, ONE], [0, 2])
    message = "record 1 of mine has the label 2, but there are 2 classes, .* from 0 to 1"
    told(message, lambda: gather(dataset, classes=("a", "b")))


def test_items_that_are_no_pairs() -> None:
    dataset = TensorDataset(torch.zeros(3, 2))
    told("record 0 of data must be a pair .*, not tuple", lambda: gather(dataset))


def test_picking_from_a_stream() -> None:
    told("records cannot be picked", lambda: gather(Stream(3), indices=[0]))


def test_an_empty_stream() -> None:
    class Nothing(IterableDataset[Any]):
        def __iter__(self) -> Any:
            return iter(())

    told("data holds no records", lambda: gather(Nothing()))


@pytest.mark.parametrize("source", ["no/such/folder", "./pets", "~/pets", "a b", "x.parquet/"])
def test_a_folder_that_is_not_there(source: str) -> None:
    told(r"there is no folder .*give a built-in name \(digits\)", lambda: load(source))


def test_a_file_for_a_folder(write: Writer, pixels: np.ndarray) -> None:
    file = write(pixels, [0, 1] * 4) / "train-00000-of-00001.parquet"
    told("is a file: give the folder", lambda: load(file))


@pytest.mark.parametrize("source", ["nosuchname", "someone/nosuchname"])
def test_an_unknown_name_is_told_at_once(
    source: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    message = f"'{source}' is no folder here, and as a hub id .*built-in name .digits."
    told(message, lambda: splits(source))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (huggingface_hub.errors.HFValidationError("bad"), "names no data set that you may read"),
        (
            OfflineModeIsEnabled("offline mode is enabled\nand so on"),
            r"\(offline mode is enabled\)",
        ),
    ],
)
def test_what_the_hub_says_is_passed_on(
    error: Exception, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", refuse)
    told(message, lambda: load("someone/pets"))


def test_an_empty_folder(tmp_path: Path) -> None:
    told("holds no data files: .*train-00000-of-00001.parquet", lambda: load(tmp_path))


def test_a_folder_of_other_things(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("no data here")
    told("holds no data files|cannot be opened as a data set", lambda: load(tmp_path))


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_a_truncated_shard(write: Writer, pixels: np.ndarray, kept: float) -> None:
    write(pixels, [0, 1] * 4, "train-00000-of-00002.parquet")
    shard = write(pixels, [0, 1] * 4, "train-00001-of-00002.parquet").joinpath(
        "train-00001-of-00002.parquet"
    )
    content = shard.read_bytes()
    shard.write_bytes(content[: int(kept * len(content))])
    told("train-00001-of-00002.parquet is a broken parquet shard", lambda: load(shard.parent))


def test_a_shard_that_is_broken_inside(write: Writer, pixels: np.ndarray) -> None:
    folder = write(pixels, [0, 1] * 4)
    shard = folder / "train-00000-of-00001.parquet"
    content = bytearray(shard.read_bytes())
    content[4:200] = bytes(196)
    shard.write_bytes(bytes(content))
    told("train-00000-of-00001.parquet is a broken parquet shard", lambda: gather(load(folder)))


@pytest.mark.parametrize("content", [b"", b"no picture", "cut short"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_an_unreadable_picture(
    write: Writer, pixels: np.ndarray, content: bytes | str, kind: str
) -> None:
    broken = encode(pixels[0], kind)[:-30] if isinstance(content, str) else content
    folder = write([*pixels[1:], broken], [0, 1] * 4, kind=kind)
    message = told(
        r"the picture of (record 7 of )?pets \(train\) cannot be read \(.+\)",
        lambda: gather(load(folder)),
    )
    assert "BytesIO" not in message


@pytest.fixture
def folders(tmp_path: Path, pixels: np.ndarray) -> Path:
    """Picture files in a folder for each of two classes."""
    for kind in ("cat", "dog"):
        (tmp_path / "pets" / kind).mkdir(parents=True)
        for number, one in enumerate(pixels):
            (tmp_path / "pets" / kind / f"{number}.png").write_bytes(encode(one))
    return tmp_path / "pets"


@pytest.mark.parametrize("number", [0, 5])  # the first is looked at for its colours
def test_a_broken_file_is_named(folders: Path, number: int) -> None:
    file = folders / "dog" / f"{number}.png"
    file.write_bytes(file.read_bytes()[:-30])
    told(
        rf"cannot be read \(.+\): remove or replace .*dog.{number}\.png",
        lambda: gather(load(folders)),
    )
    file.write_bytes(b"no picture")
    told(rf"replace .*dog.{number}\.png", lambda: gather(load(folders)))


def test_a_single_folder_has_no_classes(folders: Path) -> None:
    shutil.rmtree(folders / "dog")
    told("need a folder for each class, and two classes at least", lambda: load(folders))
    told("need a folder for each class, and two classes at least", lambda: splits(folders))


def test_a_missing_picture(tmp_path: Path) -> None:
    columns = {"image": [{"bytes": None, "path": None}] * 2, "label": [0, 1]}
    folder = write_table(tmp_path / "pets", "train.parquet", columns, image=datasets.Image())
    told("is empty: there is neither a picture nor a path", lambda: gather(load(folder)))


def test_mixed_picture_sizes(write: Writer, pixels: np.ndarray) -> None:
    folder = write([*pixels, pixels[0, :5]], [0, 1, 0] * 3)
    message = r"record 8 of pets \(train\) has the size 1x5x5, but those before it have 1x6x5"
    told(message, lambda: gather(load(folder)))


def test_one_class_only(write: Writer, pixels: np.ndarray) -> None:
    folder = write(pixels, [1] * 8)
    message = r"all 8 records of pets \(train\) have the label 1: at least two classes"
    told(message, lambda: gather(load(folder)))


@pytest.mark.parametrize(
    ("names", "labels", "message"),
    [
        (
            ("cat", "dog"),
            [0, 1, -1],
            r"record 2 of pets \(train\) has the label -1, but there are 2",
        ),
        (("cat", "dog"), [0, 1, None], "record 2 of .* has no label in the column 'label'"),
        (None, [0.5, 1.0, 0.0], "has no label column"),
        (None, [[0], [1], [0]], "has no label column"),
        (None, [0, 1, 10**9], "labels of .* run up to 1000000000"),
        (None, [0, 1, -5], r"record 2 of .* has the label -5"),
    ],
)
def test_labels_that_are_none(
    write: Writer, pixels: np.ndarray, names: tuple[str, ...] | None, labels: Any, message: str
) -> None:
    folder = write(pixels[:3], labels, names=names)
    told(message, lambda: load(folder))


def test_columns_that_are_not_there(write: Writer, pixels: np.ndarray) -> None:
    folder = str(write(pixels, [0, 1] * 4))
    columns = re.escape("its columns are image (Image), label (ClassLabel)")
    told(f"has no column 'photo': {columns}", lambda: open_hub(folder, "train", "photo"))
    told(f"has no column 'kind': {columns}", lambda: load(folder, label_column="kind"))
    told(f"'label' .* holds no pictures: {columns}", lambda: splits(folder, image_column="label"))
    told("not one label per record", lambda: load(folder, label_column="image"))
    told("has no split 'dev': there is train", lambda: load(folder, "dev"))


def test_columns_that_cannot_be_told_apart(tmp_path: Path, pixels: np.ndarray) -> None:
    cell, two = {"bytes": encode(pixels[0]), "path": None}, datasets.ClassLabel(names=["a", "b"])
    pictures = {"left": [cell] * 2, "right": [cell] * 2}
    labels = {"fine": [0, 1], "coarse": [1, 0]}
    folder = str(
        write_table(
            tmp_path / "pets",
            "train.parquet",
            {**pictures, **labels},
            left=datasets.Image(),
            right=datasets.Image(),
            fine=two,
            coarse=two,
        )
    )
    told("several picture columns: name one with image_column", lambda: load(folder))
    told("several label columns", lambda: load(folder, image_column="left"))
    found = load(folder, image_column="left", label_column="coarse")
    assert found.labels.tolist() == [1, 0]


@pytest.mark.parametrize("missing", ["image", "label"])
def test_a_missing_column(tmp_path: Path, pixels: np.ndarray, missing: str) -> None:
    cell = {"bytes": encode(pixels[0]), "path": None}
    columns: dict[str, Any] = {"image": [cell] * 2, "label": [0, 1], "size": [3, 4]}
    del columns[missing]
    features = {"image": datasets.Image()} if missing == "label" else {}
    folder = write_table(tmp_path / "pets", "train.parquet", columns, **features)
    kind = "picture" if missing == "image" else "label"
    told(rf"pets \(train\) has no {kind} column: its columns are", lambda: load(folder))


def test_digits_have_two_splits() -> None:
    told("digits has no split 'dev': there is train, test", lambda: load("digits", "dev"))


def test_a_missing_package_is_named() -> None:
    with pytest.raises(MissingDependency, match=r'pip install "sfumato\[data\]"'), needs("data"):
        import no_such_package  # noqa: F401 # pyright: ignore[reportMissingImports]
