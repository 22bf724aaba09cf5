"""Noise is kept on disk, and fits no labels but its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from sfumato.errors import OutputError, StoreError
from sfumato.label_noise import NoisyLabels, PatternedFlips, SymmetricFlips
from tests.disk import nearly_full

CLEAN = torch.arange(90) % 3


def test_there_and_back(tmp_path: Path) -> None:
    made = PatternedFlips(0.4).corrupt(CLEAN, seed=5)
    made.save(tmp_path / "noise")
    back = NoisyLabels.load(tmp_path / "noise", CLEAN.int())
    assert torch.equal(back.labels, made.labels)
    assert torch.equal(back.clean, CLEAN)
    assert torch.equal(back.matrix, made.matrix)
    assert (back.pattern, back.settings, back.seed) == (made.pattern, made.settings, 5)


def test_without_a_pattern(tmp_path: Path) -> None:
    SymmetricFlips(0.2).corrupt(CLEAN, seed=0).save(tmp_path)
    assert NoisyLabels.load(tmp_path, CLEAN).pattern is None


def test_the_head_is_for_people(tmp_path: Path) -> None:
    made = PatternedFlips(0.4).corrupt(CLEAN, seed=5)
    made.save(tmp_path)
    head = json.loads((tmp_path / "noise.json").read_text(encoding="utf-8"))
    assert head["noise"] == {"law": "PatternedFlips", "probability": 0.4}
    assert head["rate"] == made.rate
    assert head["records"] == 90


@pytest.mark.parametrize("other", [CLEAN.flip(0), CLEAN[:-1], torch.arange(90) % 2])
def test_other_data_is_refused(tmp_path: Path, other: torch.Tensor) -> None:
    PatternedFlips(0.4).corrupt(CLEAN, seed=5).save(tmp_path)
    with pytest.raises(StoreError, match="other labels than these"):
        NoisyLabels.load(tmp_path, other)


def test_changed_labels_are_refused(tmp_path: Path) -> None:
    PatternedFlips(0.4).corrupt(CLEAN, seed=5).save(tmp_path)
    body = tmp_path / "noise.safetensors"
    content = bytearray(body.read_bytes())
    content[-8] ^= 1
    body.write_bytes(bytes(content))
    with pytest.raises(StoreError, match="was changed"):
        NoisyLabels.load(tmp_path, CLEAN)


def test_what_is_no_noise_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not there"):
        NoisyLabels.load(tmp_path, CLEAN)
    (tmp_path / "noise.json").write_text("[]", encoding="utf-8")
    with pytest.raises(StoreError, match="no noise file"):
        NoisyLabels.load(tmp_path, CLEAN)


@pytest.mark.parametrize("part", ["pattern", "noise", "seed"])
def test_a_head_that_lacks_a_part(part: str, tmp_path: Path) -> None:
    PatternedFlips(0.4).corrupt(CLEAN, seed=5).save(tmp_path)
    head = json.loads((tmp_path / "noise.json").read_text(encoding="utf-8"))
    del head[part]
    (tmp_path / "noise.json").write_text(json.dumps(head), encoding="utf-8")
    with pytest.raises(StoreError, match="parts of it are gone"):
        NoisyLabels.load(tmp_path, CLEAN)


def test_a_full_disk(tmp_path: Path) -> None:
    noisy = PatternedFlips(0.4).corrupt(CLEAN.repeat(20), seed=5)
    with nearly_full(500), pytest.raises(OutputError, match="disk full"):
        noisy.save(tmp_path)
    assert not list(tmp_path.iterdir())
