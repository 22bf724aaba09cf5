"""Every shipped configuration is valid, a small one runs, and tables are what their figures say."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest
import yaml

from experiments.run import main
from sfumato.cli.settings import override
from sfumato.obfuscation import Plan
from sfumato.report import validate

ROOT = Path(__file__).parents[2] / "experiments"
CONFIGS = sorted(ROOT.glob("*/*.yaml"))
TABLES = sorted(ROOT.glob("*/*.json"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_configuration_is_valid(path: Path) -> None:
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert override(Plan(), config["plan"]).seeds
    assert "Run: .venv/bin/python -m experiments.run" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", TABLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_shipped_table_is_rendered_from_its_figures(path: Path) -> None:
    results = json.loads(path.read_text(encoding="utf-8"))
    validate(results)
    table = importlib.import_module(f"experiments.{path.parent.name}.table")
    assert path.with_suffix(".md").read_text(encoding="utf-8") == table.render(results)


def test_small_configuration_runs_and_resumes(tmp_path: Path) -> None:
    small = str(ROOT / "incremental" / "small.yaml")
    arguments = [small, "--out", str(tmp_path / "run"), "--to", str(tmp_path), "--workers", "1"]
    assert main(arguments) == 0
    results = json.loads((tmp_path / "small.json").read_text(encoding="utf-8"))
    validate(results)
    assert [entry["fraction"] for entry in results["rounds"]] == [0.1, 0.2]
    cells = {path: path.stat().st_mtime_ns for path in tmp_path.glob("run/cells/**/*.json")}
    assert main(arguments) == 0
    assert cells == {path: path.stat().st_mtime_ns for path in cells}
