"""The benchmark of hard selections runs; how long it takes is not judged here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import conditional


def test_its_small_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "figures.json"
    results = conditional.main(["--quick", "--rounds", "3", "--out", str(out)])
    assert json.loads(out.read_text(encoding="utf-8")) == results
    assert results["machine"]["threads"] == 1
    for row in results["results"]:
        assert row["classes"] == 100
        assert row["rounds"] == 3
        assert min(row["one"]["cpu_ms"], row["many"]["cpu_ms"], row["ratio"]) > 0
    printed = capsys.readouterr().out
    assert "ConditionalConv2d 3->3 3x3, 8x8, batch 4" in printed
    assert "<= 1.5" in printed


def test_the_cases_of_the_full_run() -> None:
    names = [case.name for case in conditional.CASES]
    assert "ConditionalConv2d 64->64 3x3, 32x32, batch 32" in names
    assert len(set(names)) == len(names)
