"""Folders of pictures: names, sizes, what is broken."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from sfumato.errors import DataError
from sfumato.pixels.formats import Picture
from sfumato.pixels.rounds import PictureFolder, find_pictures

Image = pytest.importorskip("PIL.Image")


def save(path: Path, size: tuple[int, int] = (8, 6), mode: str = "RGB", **more: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, 128 if mode in ("L", "I;16") else None).save(path, **more)
    return path


def test_names_of_all_kinds_in_order(tmp_path: Path) -> None:
    names = ["B.JPG", "a/deep er/ü 日本.png", "a/x.jpeg", "a/x.jpg", "a/x.png"]
    for name in names:
        save(tmp_path / name)
    for name in [".hidden.png", "a/.cache/b.png", "a/notes.txt", "a/._x.png"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"no picture")
    (tmp_path / "folder.png").mkdir()
    seen: list[tuple[int, int]] = []
    found = find_pictures(tmp_path, progress=lambda done, count: seen.append((done, count)))
    assert [picture.name for picture in found] == names
    assert {(picture.height, picture.width) for picture in found} == {(6, 8)}
    assert seen == [(number, 5) for number in range(1, 6)]
    assert all(len(picture.sha256) == 64 for picture in found)


def test_a_picture_is_turned_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (8, 4))
    image.paste((255, 0, 0), (0, 0, 4, 4))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.png", exif=exif)
    folder = PictureFolder(tmp_path, (8, 4))
    assert (folder.pictures[0].height, folder.pictures[0].width) == (8, 4)
    assert folder[0][0].mean(1).tolist() == [1.0] * 4 + [0.0] * 4


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "I;16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_mode_gives_the_channels_that_are_asked_for(
    tmp_path: Path, mode: str, channels: int
) -> None:
    save(tmp_path / "a.png", mode=mode)
    found = PictureFolder(tmp_path, (3, 4), channels)[0]
    assert found.shape == (channels, 3, 4) and found.dtype == torch.float32
    assert 0 <= float(found.min()) <= float(found.max()) <= 1


def test_areas_are_averaged(tmp_path: Path) -> None:
    image = Image.new("L", (4, 2))
    image.putdata([0, 255, 255, 255, 0, 255, 0, 0])
    image.save(tmp_path / "a.png")
    assert PictureFolder(tmp_path, (1, 2), 1)[0].tolist() == [[[0.5, 0.5]]]


def test_what_is_no_folder_of_pictures(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not there"):
        find_pictures(tmp_path / "none")
    with pytest.raises(DataError, match="holds no pictures"):
        find_pictures(tmp_path)
    path = save(tmp_path / "a.png")
    with pytest.raises(DataError, match="is not a folder"):
        find_pictures(path)


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_is_no_picture(tmp_path: Path, content: bytes) -> None:
    save(tmp_path / "a.png")
    (tmp_path / "b c.png").write_bytes(content)
    with pytest.raises(DataError, match=r"picture 'b c\.png' in .* cannot be read"):
        find_pictures(tmp_path)


def test_a_picture_that_is_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    image = Image.effect_noise((64, 64), 99)
    image.save(path)
    path.write_bytes(path.read_bytes()[:2000])
    folder = PictureFolder(tmp_path, (8, 8))
    with pytest.raises(DataError, match=r"picture of 'a\.png' cannot be read"):
        folder[0]


def test_a_picture_that_changed_or_went_away(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png")
    folder = PictureFolder(tmp_path, (3, 4))
    save(path, (9, 6))
    with pytest.raises(DataError, match=r"'a\.png' has 6×9 pixels and had 6×8"):
        folder[0]
    path.unlink()
    with pytest.raises(DataError, match="cannot read picture"):
        folder[0]


def test_a_picture_smaller_than_the_grid(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"'a\.png' has 6×8 pixels, fewer than the 7×8"):
        PictureFolder(tmp_path, (7, 8))


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png")
    try:
        path.rename(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png"))
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    with pytest.raises(DataError, match="is no UTF-8: rename it"):
        find_pictures(tmp_path)


def test_a_name_with_a_line_break(tmp_path: Path) -> None:
    save(tmp_path / "a\nb.png")
    with pytest.raises(DataError, match="control character"):
        find_pictures(tmp_path)


def test_pictures_that_are_known_are_not_searched_again(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    save(tmp_path / "b.png")
    folder = PictureFolder(tmp_path, (3, 4), pictures=(Picture("b.png", 6, 8),))
    assert len(folder) == 1 and folder[0].shape == (3, 3, 4)
