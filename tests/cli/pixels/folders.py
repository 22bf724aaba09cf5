"""Small data in hub layout, and folders of pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tests.pixels.scenes.folders import write_folder


def streets(folder: Path, classes: int = 3, count: int = 8, size: tuple[int, int] = (8, 12)) -> str:
    """Pictures whose class maps follow their colour; 11 marks nothing, 255 is void."""
    draws = np.random.default_rng(0)
    splits = {}
    for split in ("train", "test"):
        maps = [draws.integers(0, classes, size) for _ in range(count)]
        maps = [np.sort(one, axis=0) for one in maps]
        pictures = [np.stack([80 * (one % 3)] * 3, -1).astype(np.uint8) for one in maps]
        for one in maps:
            one[0, 0] = 255
        annotation = [one.astype(np.uint8) for one in maps]
        splits[split] = {"image": pictures, "annotation": annotation}
    return str(write_folder(folder, splits))


def rooms(folder: Path, count: int = 8, size: tuple[int, int] = (8, 12)) -> str:
    """Pictures with depths in millimetres, a twelfth of them not measured."""
    draws = np.random.default_rng(1)
    splits = {}
    for split in ("train", "test"):
        depths = [draws.integers(500, 4000, size).astype(np.uint16) for _ in range(count)]
        pictures = [np.stack([one // 16] * 3, -1).astype(np.uint8) for one in depths]
        for one in depths:
            one[:, 0] = 0
        splits[split] = {"image": pictures, "depth": depths}
    return str(write_folder(folder, splits))


def pictures(folder: Path, count: int = 3, size: tuple[int, int] = (16, 24)) -> str:
    """PNG files."""
    folder.mkdir()
    draws = np.random.default_rng(2)
    for at in range(count):
        pixels = draws.integers(0, 255, (*size, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"street{at}.png")
    return str(folder)
