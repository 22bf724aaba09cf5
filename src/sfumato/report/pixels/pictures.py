"""Pictures with the chosen pixels, predictions and the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps

from sfumato.report.common.pictures import Picture, Strip, png
from sfumato.report.pixels.tables import names_of

SIDE = 192
"""Pictures are enlarged to about so many pixels, so that single ones can be seen."""
_MARK, _RIM = (1.0, 0.35, 0.1), (1.0, 1.0, 1.0)
_VOID = (0.5, 0.5, 0.5)
_PALETTE = "tab20"


def strips(tensors: Mapping[str, np.ndarray], results: Mapping[str, Any]) -> list[Strip]:
    """The truth, and for each selector what it bought and what was predicted from it."""
    if "image" not in tensors:
        return []
    task, valid = results["task"], tensors["valid"]
    classes = int(task["classes"]) if task["task"] == "segmentation" else 0
    depth = task["task"] == "depth"
    known = tensors["target"][np.broadcast_to(valid, tensors["target"].shape)]
    ends = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    images = [coloured(one) for one in tensors["image"]]
    truth = [
        np.where(seen[0][..., None], painted(one, classes, ends, depth), np.array(_VOID))
        for one, seen in zip(tensors["target"], valid, strict=True)
    ]
    rows = [
        strip("Picture", "as it is seen", images),
        strip("Truth", _legend(depth, ends, bool(valid.all())), truth),
    ]
    for name in names_of(results):
        masks = tensors.get(f"mask/{name}")
        if masks is None:
            continue
        made = [painted(one, classes, ends, depth) for one in tensors[f"prediction/{name}"]]
        rows.append(strip(name, f"{_counted(masks)} bought", images, masks))
        rows.append(strip("", f"predicted with {name}", made))
    return rows


def strip(
    title: str,
    about: str,
    pictures: Sequence[np.ndarray],
    masks: Sequence[np.ndarray] | np.ndarray | None = None,
) -> Strip:
    """Pictures `[H, W, 3]` in a row; pixels of masks `[1, H, W]` are marked."""
    if masks is not None:
        pictures = [marked(one, mask[0] > 0) for one, mask in zip(pictures, masks, strict=True)]
    shown = title or about
    return Strip(
        title,
        about,
        "",
        [
            Picture(png(one.transpose(2, 0, 1), 0.0, 1.0), f"{shown}, picture {at}", "")
            for at, one in enumerate(pictures, 1)
        ],
    )


def painted(target: np.ndarray, classes: int, ends: tuple[float, float], depth: bool) -> np.ndarray:
    """`[H, W, 3]` in [0, 1] of a target `[c, H, W]`: classes by a palette, numbers on one scale."""
    if classes:
        shades = colormaps[_PALETTE](np.arange(20))[:, :3]
        return shades[target[0].astype(int) % 20]
    low, high = ends
    scaled = ((target - low) / max(high - low, 1e-12)).clip(0, 1)
    return colormaps["viridis"](scaled[0])[..., :3] if depth else _rgb(scaled)


def coloured(image: np.ndarray) -> np.ndarray:
    """`[H, W, 3]` in [0, 1] of a picture `[C, H, W]`."""
    return _rgb(image.clip(0, 1))


def marked(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The picture, enlarged, with a rimmed square on every chosen pixel."""
    factor = max(1, round(SIDE / max(picture.shape[:2])))
    large = picture.repeat(factor, 0).repeat(factor, 1).copy()
    half = max(1, factor // 4)  # large pixels stay in sight around their mark
    for row, column in np.argwhere(mask):
        down, right = int((row + 0.5) * factor), int((column + 0.5) * factor)
        for reach, shade in ((half + 1, _RIM), (half, _MARK)):
            rows = slice(max(0, down - reach), down + reach)
            large[rows, max(0, right - reach) : right + reach] = shade
    return large


def _rgb(picture: np.ndarray) -> np.ndarray:
    picture = picture if len(picture) == 3 else picture.mean(0, keepdims=True).repeat(3, 0)
    return picture.transpose(1, 2, 0)


def _counted(masks: np.ndarray) -> str:
    counts = [int(mask.sum()) for mask in masks]
    if len(set(counts)) == 1:
        return f"{counts[0]} pixels"
    return f"{min(counts)} to {max(counts)} pixels"


def _legend(depth: bool, ends: tuple[float, float], whole: bool) -> str:
    parts = [f"{ends[0]:.3g} to {ends[1]:.3g} m, near is dark"] if depth else []
    return ", ".join([*parts, *([] if whole else ["grey where nothing is known"])])
