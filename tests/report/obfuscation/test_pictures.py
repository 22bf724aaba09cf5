from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from sfumato.errors import StoreError
from sfumato.report.common.pictures import FILE, load_pictures
from sfumato.report.obfuscation import pictures
from tests.report import sample


def decode(uri: str) -> np.ndarray:
    head, body = uri.split(",", 1)
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(body))))


@pytest.mark.parametrize(
    ("shape", "decoded"), [((1, 4, 5), (4, 5)), ((3, 4, 5), (4, 5, 3)), ((2, 4, 5), (4, 5))]
)
def test_a_picture_keeps_its_pixels(shape: tuple[int, ...], decoded: tuple[int, ...]) -> None:
    picture = np.linspace(-1.0, 1.0, int(np.prod(shape)), dtype=np.float32).reshape(shape)
    levels = decode(pictures.png(picture, -1.0, 1.0))
    assert levels.shape == decoded
    assert levels.min() <= 255 / 3
    assert levels.max() >= 255 * 2 / 3


def test_the_grid_has_a_row_per_kind_and_a_picture_per_record() -> None:
    strips = pictures.grid(sample.pictures(), sample.CLASSES)
    assert [strip.title for strip in strips] == [
        "Original",
        "Release",
        "Location μ",
        "Scale σ",
        "Reconstruction",
    ]
    assert all(len(strip.pictures) == 10 for strip in strips)
    assert strips[0].scale == strips[-1].scale == "0.00 to 1.00"
    assert strips[1].pictures[7].shows == "Release of record 8, 7"


def test_records_that_are_no_pictures_have_no_grid() -> None:
    tensors = {"original": np.zeros((3, 5), np.float32), "labels": np.arange(3)}
    assert pictures.grid(tensors, sample.CLASSES) == []


@pytest.mark.parametrize(
    ("shape", "decoded", "note"),
    [
        ((), (1, 1), "0.50"),
        ((6,), (1, 6), "0.00–1.00"),
        ((2, 3, 4), (3, 4), "0.00–1.00"),
    ],
)
def test_a_selection_of_any_shape(
    shape: tuple[int, ...], decoded: tuple[int, ...], note: str
) -> None:
    one = np.linspace(0, 1, int(np.prod(shape))).reshape(shape) if shape else np.array(0.5)
    shown = pictures.selection_maps({"selection": np.stack([one, one])}, ["cat", "dog"])
    assert [picture.caption for picture in shown] == ["cat", "dog"]
    assert shown[0].note == note
    assert decode(shown[0].uri).shape == decoded


def test_a_run_without_pictures(tmp_path: Path) -> None:
    assert load_pictures(tmp_path) == {}


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / FILE
    save_file(sample.pictures(), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(StoreError, match=r"pictures\.safetensors is truncated or damaged"):
        load_pictures(tmp_path)
