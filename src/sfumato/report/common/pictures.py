"""Pictures inside of a page, and the file of a run that they are made from."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import load_file

from sfumato.errors import StoreError

FILE = "pictures.safetensors"


@final
@dataclass(frozen=True)
class Picture:
    """One inline picture: a data URI, what it shows in words, a caption and a note under it."""

    uri: str
    shows: str
    caption: str
    note: str = ""


@final
@dataclass(frozen=True)
class Strip:
    """A row of pictures on one scale of grey, with its title and the ends of that scale."""

    title: str
    about: str
    scale: str
    pictures: list[Picture]


def load_pictures(run: Path) -> dict[str, np.ndarray]:
    """The tensors of `pictures.safetensors`, or nothing where a run has none.

    Raises:
        StoreError: the file is damaged.
    """
    path = run / FILE
    if not path.is_file():
        return {}
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise StoreError(
            f"{path} is truncated or damaged: delete it and run again ({error})"
        ) from error


def png(picture: np.ndarray, low: float, high: float) -> str:
    """`picture` `[C, H, W]` as a data URI, `low` black and `high` white, one pixel per pixel."""
    spread = max(high - low, 1e-12)
    scaled = np.nan_to_num((picture.astype(np.float64) - low) / spread).clip(0.0, 1.0)
    levels = np.round(255 * scaled).astype(np.uint8)
    channels = levels.shape[0]
    if channels == 3:
        image = Image.fromarray(np.ascontiguousarray(levels.transpose(1, 2, 0)))
    else:
        image = Image.fromarray(np.ascontiguousarray(levels.mean(axis=0).astype(np.uint8)))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
