"""The benchmark of masks runs; how long it takes is not judged here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import pixels


def test_its_small_configuration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pixels, "grown", lambda *_: 0.0)  # a process each; one is tried below
    out = tmp_path / "figures.json"
    results = pixels.main(["--quick", "--rounds", "1", "--limit", "0.0001", "--out", str(out)])
    assert json.loads(out.read_text(encoding="utf-8")) == results
    ways = {(row["kind"], row["side"], row["way"]) for row in results["results"]}
    assert ("draw", 16, pixels.SUBSET) in ways
    assert ("draw", 32, pixels.SUBSET) not in ways  # too large for that limit
    assert len(results["left_out"]) == 1 and "32 x 32" in results["left_out"][0]
    assert all(row["cpu_ms"] > 0 and row["mib"] >= 0 for row in results["results"])
    assert "suggest: suggest" in capsys.readouterr().out


def test_the_relaxed_subset_keeps_its_sum_and_its_memory_grows_with_k() -> None:
    logits = torch.randn(2, 1, 6, 6)
    chosen = pixels.relaxed_subset(logits, 5)
    assert torch.allclose(chosen.sum((1, 2, 3)), torch.tensor(5.0))
    assert pixels.subset_gib(512) / pixels.subset_gib(256) == pytest.approx(16, rel=1e-3)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
def test_the_memory_of_a_way_is_that_of_a_process_of_its_own() -> None:
    large = torch.ones(200_000_000)  # 800 MB here do not show there
    few, many = (pixels.grown("draw", way, 128) for way in ("one per cell", pixels.SUBSET))
    assert len(large) and 0 <= few < 60 < many
