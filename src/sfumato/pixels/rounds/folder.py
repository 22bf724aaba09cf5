"""A folder of pictures: their names and sizes, and the pictures themselves as tensors."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor

from sfumato.data.optional import needs
from sfumato.errors import DataError
from sfumato.pixels.formats.geometry import check_grid
from sfumato.pixels.formats.model import Picture

SUFFIXES = (".png", ".jpg", ".jpeg")
_SIDEWAYS = (5, 6, 7, 8)
_ORIENTATION = 0x0112


def find_pictures(
    folder: str | Path, *, progress: Callable[[int, int], None] | None = None
) -> tuple[Picture, ...]:
    """The PNG and JPEG files in a folder and the folders below it, sorted by name.

    Hidden files and folders are left out. Only headers are decoded; each file is read once for
    its checksum.

    Args:
        folder: of pictures.
        progress: called with the number of pictures read so far and the number in all.

    Raises:
        DataError: it is no folder, holds no pictures, or one of them cannot be read.
        MissingDependency: Pillow is not installed.
    """
    folder = Path(folder)
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "is not there"
        raise DataError(f"{folder} {what}: give a folder of PNG or JPEG pictures")
    names = sorted(_names(folder))
    if not names:
        raise DataError(f"{folder} holds no pictures: they must be files ({', '.join(SUFFIXES)})")
    found = list[Picture]()
    for number, name in enumerate(names, start=1):
        found.append(_measured(folder, name))
        if progress is not None:
            progress(number, len(names))
    return tuple(found)


@final
class PictureFolder:
    """The pictures of a folder as tensors `[C, h, w]` in [0, 1], read when asked for.

    Each is turned upright as its EXIF tag says and brought to `size` by averaging areas.

    Args:
        folder: of pictures.
        size: height and width; no picture may have fewer pixels.
        channels: 1 for grey, 3 for colour.
        pictures: what `find_pictures` found; by default it is called here.

    Raises:
        DataError: what `find_pictures` raises; a picture smaller than `size`; and when a picture
            is read, that it is broken or has changed.
    """

    def __init__(
        self,
        folder: str | Path,
        size: tuple[int, int],
        channels: int = 3,
        *,
        pictures: tuple[Picture, ...] | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.size = (int(size[0]), int(size[1]))
        self.channels = channels
        self.pictures = find_pictures(folder) if pictures is None else pictures
        for picture in self.pictures:
            check_grid(picture, self.size)

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, number: int) -> Tensor:
        from sfumato.data.pictures import decode

        picture = self.pictures[number]
        found = decode([_read(self.folder / picture.name)], self.channels, [repr(picture.name)])[0]
        if tuple(found.shape[1:]) != (picture.height, picture.width):
            raise DataError(
                f"picture {picture.name!r} has {found.shape[1]}×{found.shape[2]} pixels and had "
                f"{picture.height}×{picture.width}: put it back as it was"
            )
        if len(found) > self.channels:
            found = found.mean(0, keepdim=True)
        found = found[: self.channels].to(torch.float32)
        if tuple(found.shape[1:]) == self.size:
            return found
        return F.interpolate(found[None], self.size, mode="area")[0]


def _names(folder: Path) -> list[str]:
    found = list[str]()
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        if path.suffix.lower() not in SUFFIXES or any(part.startswith(".") for part in parts):
            continue
        if path.is_file():
            found.append(_text("/".join(parts)))
    return found


def _text(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"the name of picture {name.encode(errors='surrogateescape')!r} is no UTF-8: rename it"
        ) from error
    if not name.isprintable():
        raise DataError(f"the name of picture {name!r} holds a control character: rename it")
    return name


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read picture {path}: {error.strerror or error}") from error


def _measured(folder: Path, name: str) -> Picture:
    """Name, size and checksum; the size is that of the picture turned upright."""
    with needs("data"):
        from PIL import Image
    content = _read(folder / name)
    try:
        with Image.open(io.BytesIO(content)) as opened:
            width, height = opened.size
            # Without this guard Pillow decodes the whole of a PNG to look for the tag.
            if "exif" in opened.info and opened.getexif().get(_ORIENTATION) in _SIDEWAYS:
                width, height = height, width
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(
            f"picture {name!r} in {folder} cannot be read: it is empty, damaged or no picture; "
            "replace or remove it"
        ) from error
    return Picture(name, height, width, hashlib.sha256(content).hexdigest())
