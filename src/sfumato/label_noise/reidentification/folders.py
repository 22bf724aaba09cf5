"""Pictures of identities from a folder: one folder per identity, or Market-1501's file names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sfumato.data.optional import needs
from sfumato.errors import DataError
from sfumato.label_noise.reidentification.identities import JUNK, Identities
from sfumato.label_noise.reidentification.split import ReidentificationSplit, split_unseen

MARKET = ("bounding_box_train", "query", "bounding_box_test")
"""The folders of Market-1501: training, query and gallery."""
PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
_NAME = re.compile(r"(-?\d+)_c(\d+)")
_CAMERA = re.compile(r"(?:^|_)c(?:am(?:era)?)?[_-]?(\d+)")


def open_reidentification(
    folder: str | Path, *, size: tuple[int, int] = (128, 64), share: float = 0.5, seed: int = 0
) -> ReidentificationSplit:
    """A folder of identities as training, query and gallery pictures.

    Market-1501's own split is kept where the folder has it (`bounding_box_train`, `query` and
    `bounding_box_test`; Zheng et al., ICCV 2015); any other folder is split by `split_unseen`.

    Args:
        folder: as for `load_identities`, or Market-1501's.
        size: height and width that every picture is brought to.
        share: of the identities to train on, where the folder has no split of its own.
        seed: of that split.

    Returns:
        The split.

    Raises:
        DataError: no such folder, no pictures, or too few identities.
        MissingDependency: Pillow is not installed.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}")
    there = [name for name in MARKET if (folder / name).is_dir()]
    if not there:
        return split_unseen(load_identities(folder, size=size), share, seed=seed)
    if len(there) < len(MARKET):
        missing = ", ".join(name for name in MARKET if name not in there)
        raise DataError(f"{folder} looks like Market-1501, but {missing} is missing")
    train, query, gallery = (load_identities(folder / name, size=size) for name in MARKET)
    kept = (train.identities != JUNK).nonzero().flatten()
    return ReidentificationSplit(train.subset(kept), query, gallery)


def load_identities(folder: str | Path, *, size: tuple[int, int] = (128, 64)) -> Identities:
    """The pictures of one folder.

    Two layouts: a folder per identity, `anna/c2_001.jpg`, where names of folders are numbered from
    1 in alphabetical order, and files whose names begin with identity and camera as in
    Market-1501, `0002_c1s1_000451_03.jpg`. In a folder per identity the camera is read from a file
    name that begins with `c2` or holds `_c2`, `_cam2` or `_camera2`; where one has none, every
    picture counts as taken by a camera of its own, so that no match is left out for its camera.

    Args:
        folder: what to read.
        size: height and width that every picture is brought to.

    Returns:
        The pictures as uint8 `[N, 3, H, W]`, or `[N, 1, H, W]` where all are grey.

    Raises:
        DataError: no such folder, no pictures in it, a name without an identity, or a file that
            cannot be read.
        MissingDependency: Pillow is not installed.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}")
    inside = sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")
    if inside:
        files = [(number, path) for number, one in enumerate(inside, 1) for path in _files(one)]
        identities = [number for number, _ in files]
        paths = [path for _, path in files]
        cameras = _cameras(paths)
    else:
        paths = _files(folder)
        identities, cameras = _named(paths)
    if not paths:
        raise DataError(f"{folder} holds no pictures ({', '.join(PICTURES)})")
    names = tuple(str(path.relative_to(folder)) for path in paths)
    return Identities(
        _read(paths, size), torch.tensor(identities), torch.tensor(cameras), folder.name, names
    )


def _files(folder: Path) -> list[Path]:
    found = (path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
    return sorted(path for path in found if path.name[0] != ".")


def _named(paths: Iterable[Path]) -> tuple[list[int], list[int]]:
    identities, cameras = [], []
    for path in paths:
        found = _NAME.match(path.stem)
        if found is None:
            raise DataError(
                f"{path} does not begin with an identity and a camera, as in 0002_c1s1_000451_03: "
                "name the files so, or make a folder per identity"
            )
        identities.append(int(found[1]))
        cameras.append(int(found[2]))
    return identities, cameras


def _cameras(paths: list[Path]) -> list[int]:
    found = [_CAMERA.search(path.stem.lower()) for path in paths]
    if all(found):
        return [int(one[1]) for one in found if one]
    return list(range(len(paths)))


def _read(paths: list[Path], size: tuple[int, int]) -> Tensor:
    with needs("data"):
        from PIL import Image, UnidentifiedImageError
    height, width = size
    pictures: list[np.ndarray[Any, Any]] = []
    for path in paths:
        try:
            with Image.open(path) as picture:
                mode = "L" if picture.mode in ("1", "L") else "RGB"
                shrunk = picture.convert(mode).resize((width, height), Image.Resampling.BILINEAR)
                pictures.append(np.asarray(shrunk))
        except (OSError, UnidentifiedImageError, SyntaxError) as error:
            raise DataError(f"{path} cannot be read as a picture: remove or replace it") from error
    if len({one.ndim for one in pictures}) > 1:  # grey ones among colours
        pictures = [np.repeat(p[..., None], 3, 2) if p.ndim == 2 else p for p in pictures]
    stacked = torch.from_numpy(np.stack(pictures))
    return stacked[:, None] if stacked.ndim == 3 else stacked.permute(0, 3, 1, 2).contiguous()
