"""Folders in hub layout: class maps, depth maps, pictures alone."""

from __future__ import annotations

from pathlib import Path

import datasets
import numpy as np
import pytest
import torch

from sfumato.errors import DataError
from sfumato.pixels.scenes import open_scenes, scene_splits
from sfumato.pixels.tasks import Depth, Segmentation
from tests.pixels.scenes.folders import write_folder


@pytest.fixture(autouse=True)
def quiet() -> None:
    datasets.disable_progress_bars()


def pictures(count: int, size: tuple[int, int] = (8, 12)) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (count, *size, 3), dtype=np.uint8))


def classes(count: int, size: tuple[int, int] = (8, 12)) -> list[np.ndarray]:
    return list(np.random.default_rng(1).integers(0, 4, (count, *size), dtype=np.uint8))


def depths(count: int) -> list[np.ndarray]:
    found = np.random.default_rng(2).integers(500, 4000, (count, 8, 12)).astype(np.uint16)
    found[:, 0, :3] = 0
    return list(found)


def test_class_maps(tmp_path: Path) -> None:
    maps = classes(3)
    maps[0][0, 0] = 255
    folder = write_folder(
        tmp_path / "streets", {"train": {"image": pictures(3), "annotation": maps}}
    )
    scenes = open_scenes(folder)
    assert isinstance(scenes.task, Segmentation) and scenes.task.classes == 4
    assert int((~scenes.valid).sum()) == 1 and not bool(scenes.valid[0, 0, 0, 0])
    assert scenes.targets[1, 0].tolist() == maps[1].tolist()
    assert scenes.images[1, :, 2, 3].tolist() == pytest.approx(pictures(3)[1][2, 3] / 255)
    fewer = open_scenes(folder, task=Segmentation(3), size=(4, 6))
    assert fewer.size == (4, 6) and 0.5 < float(fewer.valid.float().mean()) < 1


def test_depth_maps_are_in_metres_and_zero_is_a_failed_measurement(tmp_path: Path) -> None:
    columns = {"image": pictures(10), "depth": depths(10)}
    train, test = scene_splits(write_folder(tmp_path / "room", {"train": columns}))
    assert (len(train), len(test)) == (8, 2)
    assert not bool(train.valid[:, 0, 0, :3].any()) and bool(train.valid[:, 0, 1:].all())
    assert train.targets[0, 0, 4, 5].item() == pytest.approx(depths(1)[0][4, 5] / 1000)
    known = train.task.encode(train.targets)[train.valid]
    assert isinstance(train.task, Depth) and train.task is test.task
    assert float(known.mean()) == pytest.approx(0, abs=0.1)
    assert float(known.std()) == pytest.approx(1, abs=0.1)


def test_pictures_alone_are_inpainted(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "views", {"train": {"image": pictures(2)}})
    scenes = open_scenes(folder, size=(4, 4))
    assert scenes.size == (4, 4) and scenes.task.channels == 3


def test_what_is_missing_or_of_another_kind_is_named(tmp_path: Path) -> None:
    columns = {"image": pictures(2), "annotation": pictures(2)}
    folder = write_folder(tmp_path / "wrong", {"train": columns})
    with pytest.raises(DataError, match=r"annotation of record 0 .* 3 channels"):
        open_scenes(folder)
    with pytest.raises(DataError, match="no split 'test'"):
        open_scenes(folder, "test")
    with pytest.raises(DataError, match="no column 'labels'"):
        open_scenes(folder, target_column="labels")
    with pytest.raises(DataError, match="no column 'photo'"):
        open_scenes(folder, image_column="photo")


def test_several_sizes_need_a_size(tmp_path: Path) -> None:
    mixed = {
        "image": [*pictures(1), *pictures(1, (6, 6))],
        "annotation": [*classes(1), *classes(1, (6, 6))],
    }
    folder = write_folder(tmp_path / "mixed", {"train": mixed})
    with pytest.raises(DataError, match="give a size"):
        open_scenes(folder)
    assert open_scenes(folder, size=(6, 6)).size == (6, 6)


def test_the_real_folders(data_dir: Path) -> None:
    streets = open_scenes(data_dir / "camvid", "test", size=(48, 64), limit=4)
    assert isinstance(streets.task, Segmentation) and streets.task.classes == 11
    room = open_scenes(data_dir / "rgbd", "test", size=(32, 32), limit=4)
    assert 0.5 < float(room.targets[room.valid].mean()) < 4
    assert bool(torch.isfinite(room.targets).all())
