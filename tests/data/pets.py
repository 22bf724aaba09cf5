"""Writing small folders in hub layout, with the tools that anyone would use."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from PIL import Image

Writer = Callable[..., Path]


def encode(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    """`[H, W]` or `[H, W, 3]` bytes as an encoded picture, without loss."""
    stream = io.BytesIO()
    settings: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    Image.fromarray(pixels).save(stream, format=kind, **settings)
    return stream.getvalue()


def write_table(folder: Path, file: str, columns: dict[str, list[Any]], **features: Any) -> Path:
    """Write one parquet file; columns whose feature is not given get theirs from the content."""
    folder.mkdir(exist_ok=True)
    table = datasets.Dataset.from_dict(columns)
    for name, feature in features.items():
        table = table.cast_column(name, feature)
    with (folder / file).open("wb") as stream:
        table.to_parquet(stream, batch_size=7)
    return folder


def write_split(
    folder: Path,
    pictures: Sequence[np.ndarray | bytes],
    labels: Sequence[Any],
    file: str = "train-00000-of-00001.parquet",
    names: Sequence[str] | None = ("cat", "dog"),
    kind: str = "PNG",
) -> Path:
    """Write pictures and labels as one parquet file of a folder in hub layout."""
    encoded = [one if isinstance(one, bytes) else encode(one, kind) for one in pictures]
    cells = [{"bytes": one, "path": None} for one in encoded]
    features: dict[str, Any] = {"image": datasets.Image()}
    if names is not None:
        features["label"] = datasets.ClassLabel(names=list(names))
    return write_table(folder, file, {"image": cells, "label": list(labels)}, **features)
