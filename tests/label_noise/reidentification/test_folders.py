from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sfumato.errors import DataError
from sfumato.label_noise.reidentification import (
    Identities,
    ReidentificationSplit,
    load_identities,
    open_reidentification,
    split_unseen,
)


def draw(path: Path, level: int, *, colour: bool = True) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (10, 6, 3) if colour else (10, 6)
    Image.fromarray(np.full(shape, level, np.uint8)).save(path)


def market(folder: Path) -> Path:
    files = {
        "bounding_box_train": ("0002_c1s1_000451_03", "0002_c2s1_000776_01", "0007_c3s3_077419_03"),
        "query": ("0001_c1s1_001051_00",),
        "bounding_box_test": ("0001_c2s1_001976_01", "-1_c1s1_000401_03", "0000_c5s1_000826_04"),
    }
    for name, stems in files.items():
        for at, stem in enumerate(stems):
            draw(folder / name / f"{stem}.jpg", 40 * at)
    (folder / "query" / "Thumbs.db").write_bytes(b"")
    return folder


def test_market_1501(tmp_path: Path) -> None:
    split = open_reidentification(market(tmp_path), size=(8, 4))
    assert split.train.identities.tolist() == [2, 2, 7]
    assert split.train.cameras.tolist() == [1, 2, 3]
    assert split.train.labels.tolist() == [0, 0, 1]
    assert split.query.identities.tolist() == [1]
    assert sorted(split.gallery.identities.tolist()) == [-1, 0, 1]
    assert split.gallery.count == 1  # junk and distractors are nobody
    assert split.train.inputs.shape == (3, 3, 8, 4)
    assert split.train.inputs.dtype == torch.uint8
    assert split.train.names[0] == "0002_c1s1_000451_03.jpg"


def test_half_of_market_1501(tmp_path: Path) -> None:
    market(tmp_path)
    (tmp_path / "query").rename(tmp_path / "other")
    with pytest.raises(DataError, match="query is missing"):
        open_reidentification(tmp_path)


def test_a_folder_per_identity(tmp_path: Path) -> None:
    for who, level in (("anna", 10), ("bert", 200)):
        for camera in (1, 2):
            draw(tmp_path / who / f"c{camera}_{level}.png", level)
    data = load_identities(tmp_path, size=(5, 3))
    assert data.identities.tolist() == [1, 1, 2, 2]
    assert data.cameras.tolist() == [1, 2, 1, 2]
    assert data.inputs[2].unique().tolist() == [200]
    assert data.names[0] == "anna/c1_10.png"


@pytest.mark.parametrize(
    ("stem", "camera"), [("c3s1_x", 3), ("walk_cam2", 2), ("a_c4", 4), ("camera-5 x", 5)]
)
def test_cameras_in_names(stem: str, camera: int, tmp_path: Path) -> None:
    draw(tmp_path / "anna" / f"{stem}.png", 9)
    assert load_identities(tmp_path).cameras.tolist() == [camera]


def test_pictures_without_a_camera_have_one_each(tmp_path: Path) -> None:
    for at in range(3):
        draw(tmp_path / "anna" / f"face{at}.png", at, colour=False)
    data = load_identities(tmp_path, size=(5, 3))
    assert data.cameras.tolist() == [0, 1, 2]
    assert data.inputs.shape == (3, 1, 5, 3)
    draw(tmp_path / "bert" / "x.png", 77)
    assert load_identities(tmp_path, size=(5, 3)).inputs.shape == (4, 3, 5, 3)


def test_what_is_no_folder_of_identities(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder"):
        load_identities(tmp_path / "nowhere")
    with pytest.raises(DataError, match="there is no folder"):
        open_reidentification(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no pictures"):
        load_identities(tmp_path)
    draw(tmp_path / "holiday.png", 1)
    with pytest.raises(DataError, match="does not begin with an identity"):
        load_identities(tmp_path)
    (tmp_path / "holiday.png").unlink()
    (tmp_path / "0001_c1.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="cannot be read"):
        load_identities(tmp_path)


def seen(identities: list[int], cameras: list[int]) -> Identities:
    size = len(identities)
    return Identities(torch.rand(size, 1, 2, 2), torch.tensor(identities), torch.tensor(cameras))


def test_test_identities_are_never_trained_on() -> None:
    data = seen([who for who in range(1, 11) for _ in range(6)], [1, 1, 2, 2, 3, 3] * 10)
    split = split_unseen(data, 0.6, seed=3)
    trained, tested = set(split.train.identities.tolist()), set(split.query.identities.tolist())
    assert (len(trained), len(tested)) == (6, 4)
    assert trained.isdisjoint(tested | set(split.gallery.identities.tolist()))
    assert len(split.query) == 4 * 3  # one for each camera
    pairs = zip(split.query.identities.tolist(), split.query.cameras.tolist(), strict=True)
    assert len(set(pairs)) == len(split.query)
    assert len(split.train) + len(split.gallery) == len(data)
    again = split_unseen(data, 0.6, seed=3)
    assert torch.equal(split.query.inputs, again.query.inputs)
    assert not torch.equal(split.query.inputs, split_unseen(data, 0.6, seed=4).query.inputs[:12])


def test_an_identity_of_one_camera_asks_nothing() -> None:
    data = seen([1, 1, 2, 2, 3, 3, 4, 4], [1, 2] * 3 + [1, 1])
    for seed in range(4):
        assert 4 not in split_unseen(data, seed=seed).query.identities.tolist()


def test_distractors_stand_in_the_gallery_alone() -> None:
    data = seen([0, 0, -1, 1, 1, 2, 2, 3, 3, 4, 4], [1, 2, 1] + [1, 2] * 4)
    split = split_unseen(data)
    assert split.gallery.identities.tolist()[:3] == [0, 0, -1]
    people, nobody, test = seen([1, 2], [1, 2]), seen([0, 1], [1, 2]), seen([3, 0], [1, 2])
    assert len(ReidentificationSplit(people, seen([3], [1]), test).gallery) == 2
    for train, query in ((nobody, seen([3], [1])), (people, test)):
        with pytest.raises(DataError, match="data holds the identity 0"):
            ReidentificationSplit(train, query, test)


def test_what_cannot_be_split() -> None:
    with pytest.raises(DataError, match="at least two"):
        split_unseen(seen([1, 1, 2, 2, 3, 3], [1, 2] * 3))
    with pytest.raises(DataError, match="seen by two cameras"):
        split_unseen(seen([1, 1, 2, 2, 3, 3, 4, 4], [1] * 8))
    both = seen([1, 2], [1, 2])
    with pytest.raises(DataError, match="in the training pictures too"):
        ReidentificationSplit(both, both, both)


@pytest.mark.parametrize(
    ("inputs", "identities", "message"),
    [
        (torch.zeros(0, 1, 2, 2), torch.zeros(0).long(), "no pictures"),
        (torch.zeros(2, 4), torch.zeros(2).long(), "must be float32 or uint8"),
        (torch.zeros(2, 1, 2, 2).double(), torch.zeros(2).long(), "must be float32 or uint8"),
        (torch.zeros(2, 1, 2, 2), torch.zeros(3).long(), r"int64 \[2\]"),
        (torch.zeros(2, 1, 2, 2), torch.zeros(2), r"int64 \[2\]"),
    ],
)
def test_what_are_no_identities(
    inputs: torch.Tensor, identities: torch.Tensor, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        Identities(inputs, identities, torch.zeros(len(inputs)).long())
