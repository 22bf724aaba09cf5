"""A release of some records is audited as it lies there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import sfumato as sf
from sfumato.data.records import Records
from sfumato.errors import StoreError
from sfumato.files import write_json
from sfumato.obfuscation.release import release_dataset
from tests.privacy.audited import Identity, records, run

DATA = records(300)
OUT = torch.randperm(300, generator=torch.Generator().manual_seed(0))[:60].tolist()
ONCE: dict[str, Any] = {"releases": (1,), "seeds": (0,), "control": False}


def released(folder: Path, data: Records = DATA) -> sf.Obfuscator:
    """The records `OUT`, released into `folder`/released."""
    obfuscator = sf.obfuscation.isotropic(data.shape, 1e-2)
    release_dataset(obfuscator, data.subset(OUT), folder / "released")
    return obfuscator


def chosen(folder: Path, content: Any) -> None:
    write_json(folder / "chosen.json", content)


@pytest.mark.parametrize("data", [DATA, (records(200, seed=5), DATA)], ids=["one", "pair"])
def test_those_that_were_released_are_attacked(tmp_path: Path, data: Any) -> None:
    """The stored releases are almost the records, so that each must be that of its own."""
    obfuscator = released(tmp_path)
    chosen(tmp_path, {"data": "tiny", "split": "train", "records": OUT})
    for place in (tmp_path, tmp_path / "released"):
        found = run(
            obfuscator=obfuscator, data=data, released=place, attacks=[Identity()], attacked=50,
            **ONCE,
        )  # fmt: skip
        assert found.attack("identity", stored=True).score.mean > 0.999
        assert found.data["target"] == 50
        assert set(found.worst.numbers) <= set(OUT)
        assert found.worst.records is not None
        assert torch.equal(found.worst.records, DATA.inputs[list(found.worst.numbers)])
        assert "60 of the records were released" in found.data["split"]


def test_what_does_not_fit(tmp_path: Path) -> None:
    common: dict[str, Any] = {"obfuscator": released(tmp_path), "data": DATA, **ONCE}
    with pytest.raises(StoreError, match=r"keep chosen\.json beside it"):
        run(released=tmp_path, **common)
    for wrong in ({}, {"data": "x", "split": "y", "records": ["a"]}, []):
        chosen(tmp_path, wrong)
        with pytest.raises(StoreError, match="does not say which records were released"):
            run(released=tmp_path, **common)
    chosen(tmp_path, {"data": "x", "split": "y", "records": [1, 1]})
    with pytest.raises(StoreError, match="different numbers from 0 on"):
        run(released=tmp_path, **common)
    chosen(tmp_path, {"data": "x", "split": "y", "records": [*OUT[:-1], 300]})
    with pytest.raises(StoreError, match="record 300 was released, but tiny has 300 records"):
        run(released=tmp_path, **common)
    chosen(tmp_path, {"data": "x", "split": "y", "records": OUT[::-1]})
    with pytest.raises(StoreError, match="are not those of the 60 that chosen"):
        run(released=tmp_path, **common)
