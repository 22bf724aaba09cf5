"""Class maps and depth maps as they are stored: whole numbers, not shades in [0, 1]."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sfumato.data.optional import needs
from sfumato.errors import DataError


def read_plane(cell: Any, name: str) -> Tensor:
    """A map of whole numbers `[1, H, W]`, int64, from a cell of a data set.

    Args:
        cell: `{"bytes": ..., "path": ...}` or the bytes of a picture with one channel.
        name: what to call it in a message.

    Raises:
        DataError: it is missing, is no whole picture, or is in colour.
    """
    with needs("data"):
        from PIL import Image
    content, path = (cell["bytes"], cell.get("path")) if isinstance(cell, dict) else (cell, None)
    opened = path if content is None else io.BytesIO(content)
    if opened is None:
        raise DataError(f"{name} is empty: there is neither a picture nor a path to one")
    try:
        with Image.open(opened) as picture:
            plane = np.asarray(picture)
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        reason = "not a known picture format" if "cannot identify" in reason else reason
        raise DataError(f"{name} cannot be read ({reason}): remove or replace it") from error
    if plane.ndim != 2:
        raise DataError(
            f"{name} has {plane.shape[-1]} channels: a map holds one whole number per pixel "
            "(a grey or palette PNG, 8 or 16 bits)"
        )
    return torch.from_numpy(plane.astype(np.int64))[None]
