"""Files are whole or not there, whoever writes them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from sfumato.errors import OutputError
from sfumato.files import atomic
from tests.disk import nearly_full


def test_safetensors_on_a_full_disk(tmp_path: Path) -> None:
    target = tmp_path / "network.safetensors"
    target.write_text("before")
    full = pytest.raises(OutputError, match=r"disk full while writing .*network\.safetensors")
    with full, nearly_full(2000), atomic(target) as part:
        save_file({"weight": torch.zeros(10_000)}, part)
    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]


def test_another_error_of_safetensors_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(SafetensorError, match="not of the disk"), atomic(tmp_path / "x"):
        raise SafetensorError("not of the disk")
    assert not list(tmp_path.iterdir())
