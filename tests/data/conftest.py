"""A small folder in hub layout, made anew for each test."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import datasets
import numpy as np
import pytest

from tests.data.pets import Writer, write_split


@pytest.fixture
def pixels() -> np.ndarray:
    """20 grey pictures of 6 x 5."""
    return np.random.default_rng(0).integers(0, 256, (20, 6, 5), dtype=np.uint8)


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Write one parquet file of pictures to the folder `pets`; gives back that folder."""
    return partial(write_split, tmp_path / "pets")


@pytest.fixture(autouse=True)
def quiet_datasets() -> None:
    """The tests' own use of `datasets` draws no progress bars."""
    datasets.disable_progress_bars()
