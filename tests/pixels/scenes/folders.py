"""A small folder in hub layout, as users have one."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from PIL import Image


def encoded(pixels: np.ndarray) -> dict[str, Any]:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    return {"bytes": stream.getvalue(), "path": None}


def write_folder(folder: Path, splits: dict[str, dict[str, list[np.ndarray]]]) -> Path:
    """Write picture columns, one parquet file per split."""
    folder.mkdir(exist_ok=True)
    for split, columns in splits.items():
        features = datasets.Features({name: datasets.Image() for name in columns})
        cells = {name: [encoded(each) for each in found] for name, found in columns.items()}
        table = datasets.Dataset.from_dict(cells, features=features)
        table.to_parquet(str(folder / f"{split}-00000-of-00001.parquet"))
    return folder
