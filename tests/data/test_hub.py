from __future__ import annotations

import io
import socket
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from datasets import config
from PIL import Image
from torch.utils.data import DataLoader

from sfumato.data import HubPictures, Labelled, gather, load, open_hub, splits, take
from sfumato.data import sources as sources_module
from sfumato.data.pictures import decode
from tests.data.pets import Writer


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder never needs the network."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a test went to the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def pets(write: Writer, pixels: np.ndarray) -> Path:
    """12 + 3 training and 5 test pictures."""
    labels = np.arange(20) % 2
    write(pixels[:12], labels[:12], "train-00000-of-00002.parquet")
    write(pixels[12:15], labels[12:15], "train-00001-of-00002.parquet")
    return write(pixels[15:], labels[15:], "test-00000-of-00001.parquet")


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_come_out_as_they_went_in(
    write: Writer, pixels: np.ndarray, kind: str, channels: int
) -> None:
    if kind == "WEBP" and channels == 1:
        channels = 3  # that format has colour only
    stored = pixels if channels == 1 else np.stack([pixels, 255 - pixels, pixels // 2], axis=-1)
    folder = write(stored, np.arange(20) % 2, kind=kind)
    found = open_hub(str(folder), "train")
    assert found.shape == (channels, 6, 5)
    want = torch.from_numpy(stored.reshape(20, 6, 5, channels)).permute(0, 3, 1, 2) / 255
    assert torch.equal(gather(found).inputs, want)


def test_a_folder_is_a_torch_data_set(pets: Path, pixels: np.ndarray) -> None:
    train = open_hub(str(pets), "train")
    assert isinstance(train, Labelled)
    assert len(train) == 15
    assert train.classes == ("cat", "dog")
    assert train.name == "pets"
    assert train.labels.tolist() == [number % 2 for number in range(15)]
    one, label = train[13]
    assert (one.dtype, label, type(label)) == (torch.float32, 1, int)
    assert torch.equal(one, torch.from_numpy(pixels[13])[None] / 255)
    assert torch.equal(train[-2][0], one)
    with pytest.raises(IndexError):
        train[15]
    inputs, labels = next(iter(DataLoader(train, batch_size=15, shuffle=True)))
    assert inputs.shape == (15, 1, 6, 5)
    assert sorted(labels.tolist()) == sorted(train.labels.tolist())


def test_items_asked_for_in_any_order_are_the_right_ones(pets: Path) -> None:
    train = open_hub(str(pets), "train")
    order = [14, 0, 7, 7, 12, 3]
    for (one, label), number in zip(train.__getitems__(order), order, strict=True):
        assert torch.equal(one, train[number][0])
        assert label == train[number][1]
    part = train.subset([14, 2]).subset([1, 0, 0])
    assert torch.equal(part[0][0], train[2][0])
    assert torch.equal(part[2][0], train[14][0])
    assert part.labels.tolist() == [0, 0, 0]


def test_pictures_travel_to_other_processes(pets: Path) -> None:
    train = open_hub(str(pets), "train").subset([3, 1])
    stream = io.BytesIO()
    torch.save(train, stream)
    stream.seek(0)
    again = torch.load(stream, weights_only=False)
    assert torch.equal(again[0][0], train[0][0])
    assert again.labels.tolist() == train.labels.tolist()


def test_splits_takes_the_test_split(pets: Path) -> None:
    train, test = splits(pets)
    assert (len(train), len(test)) == (15, 5)
    assert len(load(pets, "test")) == 5
    assert len(take(train, 6)) == 6


def test_splits_takes_the_validation_split_where_there_is_no_test(pets: Path) -> None:
    (pets / "test-00000-of-00001.parquet").rename(pets / "validation-00000-of-00001.parquet")
    assert [len(part) for part in splits(pets)] == [15, 5]


def test_splits_holds_out_a_fifth_where_there_is_nothing_else(pets: Path) -> None:
    (pets / "test-00000-of-00001.parquet").unlink()
    train, test = splits(pets)
    again = splits(pets)[1]
    assert (len(train), len(test)) == (12, 3)
    whole = {one.numpy().tobytes() for one, _ in load(pets)}
    parts = [{one.numpy().tobytes() for one, _ in part} for part in (train, test)]
    assert parts[0] | parts[1] == whole
    assert not parts[0] & parts[1]
    assert torch.equal(again[0][0], test[0][0])


def test_nothing_is_written_outside_of_the_folder(
    pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = sorted(tmp_path.rglob("*"))
    gather(open_hub(str(pets), "train"))
    assert sorted(tmp_path.rglob("*")) == before
    assert capfd.readouterr() == ("", "")


def test_progress_bars_of_datasets_are_left_as_they_were(pets: Path) -> None:
    datasets.enable_progress_bars()
    open_hub(str(pets), "train")
    assert not datasets.are_progress_bars_disabled()


def test_grey_pictures_among_coloured_ones_become_coloured(
    write: Writer, pixels: np.ndarray
) -> None:
    mixed = [pixels[0], np.stack([pixels[1]] * 3, axis=-1), pixels[2]]
    found = gather(open_hub(str(write(mixed, [0, 1, 0])), "train"))
    assert found.shape == (3, 6, 5)
    assert torch.equal(found.inputs[0, 0], found.inputs[0, 2])


def test_pictures_of_16_bits_keep_them(write: Writer) -> None:
    deep = np.array([[[0, 65535], [256, 1]], [[9, 9], [9, 8]]], dtype=np.uint16)
    found = gather(open_hub(str(write(deep, [0, 1])), "train"))
    assert torch.equal(found.inputs[:, 0], torch.from_numpy(deep.astype(np.float32) / 65535))


def test_a_turned_photograph_is_turned_back(tmp_path: Path) -> None:
    picture = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("a", "b"):
        (tmp_path / "train" / name).mkdir(parents=True)
        picture.save(tmp_path / "train" / name / "1.png", exif=exif)
    content = (tmp_path / "train" / "a" / "1.png").read_bytes()
    (one,) = decode([{"bytes": content, "path": None}], 1, ["it"])
    assert (one[0] * 255).round().tolist() == [[3, 0], [4, 1], [5, 2]]


def test_text_labels_get_the_same_numbers_in_every_split(write: Writer, pixels: np.ndarray) -> None:
    write(pixels[:3], ["oak", "ash", "oak"], "train.parquet", names=None)
    folder = write(pixels[3:6], ["elm", "ash", "ash"], "test.parquet", names=None)
    train, test = splits(folder)
    assert train.classes == test.classes == ("ash", "elm", "oak")
    assert train.labels.tolist() == [2, 0, 2]
    assert test.labels.tolist() == [1, 0, 0]


def test_number_labels_get_the_same_names_in_every_split(write: Writer, pixels: np.ndarray) -> None:
    write(pixels[:3], [0, 3, 1], "train.parquet", names=None)
    folder = write(pixels[3:5], [1, 0], "test.parquet", names=None)
    train, test = splits(folder)
    assert train.classes == test.classes == ("0", "1", "2", "3")
    assert test.labels.tolist() == [1, 0]


def test_a_folder_of_picture_files_opens_too(
    pixels: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "HF_DATASETS_CACHE", tmp_path / "cache")
    for number in range(4):
        place = tmp_path / "files" / "train" / ("cat", "dog")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[number]).save(place / f"{number}.png")
    found = open_hub(str(tmp_path / "files"), "train")
    assert found.classes == ("cat", "dog")
    assert found.labels.tolist() == [0, 0, 1, 1]
    assert torch.equal(gather(found).inputs[1, 0], torch.from_numpy(pixels[2]) / 255)


def test_a_hub_id_goes_through_datasets(
    pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def load_dataset(name: str) -> datasets.DatasetDict:
        asked.append(name)
        return real(str(pets), cache_dir=str(tmp_path / "cache"))

    real = datasets.load_dataset
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.setattr(sources_module, "_probe", lambda _: None)
    found = open_hub("someone/pets", "train")
    assert asked == ["someone/pets"]
    assert isinstance(found, HubPictures)
    assert found.name == "someone/pets"
    assert torch.equal(gather(found).inputs, gather(open_hub(str(pets), "train")).inputs)


@pytest.mark.parametrize(("name", "shape"), [("mnist", (1, 28, 28)), ("cifar10", (3, 32, 32))])
def test_real_pictures_agree_with_datasets(
    name: str, shape: tuple[int, ...], data_dir: Path, tmp_path: Path
) -> None:
    files = str(data_dir / name / "test-*.parquet")
    want: Any = datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path))
    found = open_hub(str(data_dir / name), "test")
    assert found.shape == shape
    assert len(found.classes) == 10
    for number in range(0, 2000, 47):
        one, label = found[number]
        row = want["train"][number]
        stored = torch.from_numpy(np.array(row["image"]).reshape(*shape[1:], shape[0]))
        assert torch.equal(one, stored.permute(2, 0, 1) / 255)
        assert label == row["label"]
