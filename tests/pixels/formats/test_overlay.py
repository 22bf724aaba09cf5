"""Overlays: seen on every ground, the asked pixel untouched, the picture unchanged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sfumato.errors import DataError, SettingError
from sfumato.pixels.formats import Overlay, Picture, Sheet, Suggestion
from tests.pixels.formats.asked import METRES, sheet

pytest.importorskip("PIL")
from PIL import Image


def drawn(root: Path, picture: Picture, places: list[tuple[int, int]], **more: int) -> np.ndarray:
    asked = tuple(Suggestion(picture.name, row, column) for row, column in places)
    sheet = Sheet((picture,), asked, METRES, root)
    [path] = Overlay(**more).write(sheet, root / "out")
    assert path == root / "out" / "overlay" / f"{picture.name}.png"
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_a_ring_is_seen_on_every_ground(tmp_path: Path, shade: int) -> None:
    Image.new("L", (40, 30), shade).save(tmp_path / "a.png")
    found = drawn(tmp_path, Picture("a.png", 30, 40), [(15, 20)], scale=1, numbers=0)
    changed = found[(found != shade).any(-1)]
    assert found.shape == (30, 40, 3)
    farthest = np.abs(changed.astype(int) - shade).max()
    assert farthest >= 127 and len(changed) > 20
    assert (found[15, 20] == shade).all() and (found[0, 0] == shade).all()


def test_a_number_tells_the_points_apart(tmp_path: Path) -> None:
    Image.new("RGB", (60, 60), "blue").save(tmp_path / "a.png")
    picture, places = Picture("a.png", 60, 60), [(30, 20)]
    plain = drawn(tmp_path, picture, places, scale=2, numbers=0)
    numbered = drawn(tmp_path, picture, places, scale=2)
    assert (plain != numbered).any()
    assert {(255, 255, 255), (0, 0, 0)} <= set(map(tuple, numbered.reshape(-1, 3)))


def test_a_small_picture_is_enlarged_pixel_by_pixel(tmp_path: Path) -> None:
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8) * 4).save(tmp_path / "a.png")
    found = drawn(tmp_path, Picture("a.png", 8, 8), [(7, 7)])
    assert found.shape == (256, 256, 3)
    assert (found[:32, :32] == 0).all() and (found[:32, 32:64] == 4).all()
    assert (found[7 * 32 + 10 : 8 * 32 - 10, 7 * 32 + 10 : 8 * 32 - 10] == 63 * 4).all()


def test_corners_of_pictures_of_any_shape(tmp_path: Path) -> None:
    for height, width in [(1, 1), (1, 300), (900, 2)]:
        Image.new("L", (width, height)).save(tmp_path / "a.png")
        places = [(0, 0), (height - 1, width - 1)]
        found = drawn(tmp_path, Picture("a.png", height, width), places)
        assert found.shape[0] % height == 0 and found.max() == 255


def test_sixteen_bits_and_names_that_differ_in_the_suffix(tmp_path: Path) -> None:
    (tmp_path / "x y").mkdir()
    deep = np.full((4, 4), 40000, dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / "x y" / "ä.png")
    Image.new("L", (4, 4)).save(tmp_path / "x y" / "ä.jpg")
    found = drawn(tmp_path, Picture("x y/ä.png", 4, 4), [(3, 3)], scale=8, numbers=0)
    assert (found[0, 0] == 40000 // 256).all()
    drawn(tmp_path, Picture("x y/ä.jpg", 4, 4), [(3, 3)])
    assert len(list((tmp_path / "out" / "overlay" / "x y").iterdir())) == 2


def test_a_picture_that_is_gone_broken_or_changed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'a\.png' cannot be read"):
        drawn(tmp_path, Picture("a.png", 8, 8), [(0, 0)])
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    with pytest.raises(DataError, match=r"'a\.png' cannot be read"):
        drawn(tmp_path, Picture("a.png", 8, 8), [(0, 0)])
    Image.new("L", (4, 8)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"'a.png' has 8×4 pixels now and had 8×8"):
        drawn(tmp_path, Picture("a.png", 8, 8), [(0, 0)])


def test_what_an_overlay_cannot_do(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="needs the pictures"):
        Overlay().write(sheet(), tmp_path)
    with pytest.raises(SettingError, match="carries no answers"):
        Overlay().read(tmp_path / "a.png", sheet())
    with pytest.raises(SettingError, match="scale"):
        Overlay(scale=0)
