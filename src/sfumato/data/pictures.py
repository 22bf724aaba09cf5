"""Encoded pictures to tensors. Importing this module needs Pillow."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sfumato.data.optional import needs
from sfumato.errors import DataError

with needs("data"):
    from PIL import Image, ImageOps

_GREY = ("1", "L", "I", "I;16", "I;16B", "I;16L", "LA", "La")
_DEEP = ("I", "I;16", "I;16B", "I;16L")
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error)
_ORIENTATION = 0x0112
_MAGIC = ((b"\x89PNG", "PNG"), (b"\xff\xd8\xff", "JPEG"), (b"RIFF", "WEBP"))


def decode(cells: Sequence[Any], channels: int, names: Sequence[str]) -> list[Tensor]:
    """Picture cells of a hub-layout data set as float32 `[channels, H, W]` in [0, 1].

    Args:
        cells: each `{"bytes": ..., "path": ...}` or the bytes themselves.
        channels: 1 for grey, 3 for colour. A grey picture becomes a colour one if 3 are asked
            for; a colour picture keeps its 3 channels.
        names: what to call each picture in a message.

    Raises:
        DataError: the bytes are missing or are not a whole picture.
    """
    pixels = [_decode(cell, channels, name) for cell, name in zip(cells, names, strict=True)]
    if len({(one.shape, one.dtype) for one in pixels}) == 1:  # the usual case, at half the cost
        return list(_scaled(np.stack(pixels)).unbind())
    return [_scaled(np.stack([one]))[0] for one in pixels]


def count_channels(cells: Iterable[Any], where: str) -> int:
    """1 if all these pictures are grey, else 3. Only headers are read.

    Raises:
        DataError: the bytes are missing or are no picture.
    """
    for cell in cells:
        try:
            with _open(cell, where) as picture:
                if picture.mode not in _GREY:
                    return 3
        except _UNREADABLE as error:
            raise _unreadable(where, error, cell) from error
    return 1


def _decode(cell: Any, channels: int, name: str) -> np.ndarray:
    """`[H, W]` or `[H, W, 3]`; bytes, or float32 in [0, 1] where a picture has 16 bits."""
    try:
        with _open(cell, name) as picture:
            return _pixels(picture, channels)
    except _UNREADABLE as error:
        raise _unreadable(name, error, cell) from error


def _open(cell: Any, name: str) -> Image.Image:
    content, path = (cell["bytes"], cell.get("path")) if isinstance(cell, dict) else (cell, None)
    if content is None:
        if path is None:
            raise DataError(f"{name} is empty: there is neither a picture nor a path to one")
        return Image.open(path)
    # Naming the format spares Pillow from trying all of its readers on every picture.
    formats = [kind for magic, kind in _MAGIC if content.startswith(magic)] or None
    try:
        return Image.open(io.BytesIO(content), formats=formats)
    except Image.DecompressionBombError as error:
        raise _unreadable(name, error, cell) from error


def _pixels(picture: Image.Image, channels: int) -> np.ndarray:
    picture.load()
    if "exif" in picture.info and picture.getexif().get(_ORIENTATION):
        picture = ImageOps.exif_transpose(picture)
    if picture.mode in _DEEP:
        grey = np.asarray(picture, dtype=np.float32) / 65535
        return grey if channels == 1 else np.repeat(grey[..., None], 3, axis=2)
    mode = "L" if channels == 1 and picture.mode in _GREY else "RGB"
    if picture.mode != mode:
        picture = picture.convert(mode)
    flat = np.frombuffer(picture.tobytes(), np.uint8)
    return flat.reshape(picture.height, picture.width, *(() if mode == "L" else (3,)))


def _scaled(pixels: np.ndarray) -> Tensor:
    """`[B, H, W]` or `[B, H, W, 3]` to float32 `[B, C, H, W]`."""
    batch = torch.from_numpy(pixels)
    batch = batch[:, None] if batch.ndim == 3 else batch.permute(0, 3, 1, 2).contiguous()
    return batch if batch.is_floating_point() else batch.float().div_(255)


def _unreadable(name: str, error: Exception, cell: Any) -> DataError:
    if isinstance(error, DataError):
        return error
    reason = (str(error) or type(error).__name__).splitlines()[0]
    if "cannot identify image file" in reason:  # what follows is the address of a buffer
        reason = "not a known picture format"
    file = (cell.get("path") if isinstance(cell, dict) else None) or "it"
    return DataError(f"the picture of {name} cannot be read ({reason}): remove or replace {file}")
