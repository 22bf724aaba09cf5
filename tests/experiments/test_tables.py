"""Every shipped configuration is valid, a small one runs, and tables are what their figures say."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from experiments.run import main, with_command
from experiments.tradeoff.learners import LEARNERS
from experiments.tradeoff.mechanisms import MECHANISMS
from experiments.tradeoff.setup import setup_of
from experiments.tradeoff.table import points_of
from sfumato.cli.common.settings import override
from sfumato.errors import SettingError
from sfumato.obfuscation import Plan
from sfumato.report import validate

ROOT = Path(__file__).parents[2] / "experiments"
# The other tables have tests of their own beside this one.
CONFIGS = sorted(
    path for name in ("incremental", "tradeoff") for path in ROOT.glob(f"{name}/*.yaml")
)
TABLES = sorted(ROOT.glob("*/*.json"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_configuration_is_valid(path: Path, tmp_path: Path) -> None:
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    relative = path.relative_to(ROOT.parent).as_posix()
    command = f"Run: .venv/bin/python -m experiments.run {relative}"
    assert command in path.read_text(encoding="utf-8")
    if path.parent.name == "incremental":
        assert override(Plan(), config["plan"]).seeds
    else:
        _check_trade_off(config, tmp_path)


def _check_trade_off(config: dict[str, Any], folder: Path) -> None:
    points = [*points_of(config["training"]), *points_of(config["inference"])]
    assert {point.mechanism for point in points} <= set(MECHANISMS)
    assert {point.learner for point in points} <= set(LEARNERS)
    assert all(0 < point.share <= 1 for point in points)
    assert setup_of(config, "digits", folder).steps > 0
    for part in ("training", "inference"):
        names = [point.name for point in points_of(config[part])]
        assert len(set(names)) == len(names)
        assert not names or sum(p.method == "isotropic" for p in points_of(config[part])) >= 2


@pytest.mark.parametrize("path", TABLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_shipped_table_is_rendered_from_its_figures(path: Path) -> None:
    results = json.loads(path.read_text(encoding="utf-8"))
    if path.parent.name == "incremental":
        validate(results)
    config = yaml.safe_load(path.with_suffix(".yaml").read_text(encoding="utf-8"))
    kind = config.get("table", path.parent.name)
    table = importlib.import_module(f"experiments.{kind}.table")
    page = with_command(table.render(results), path.with_suffix(".yaml"))
    assert path.with_suffix(".md").read_text(encoding="utf-8") == page


def _run_twice(table: str, folder: Path) -> dict[str, Any]:
    """The results of the small configuration; a second run must compute nothing."""
    small = str(ROOT / table / "small.yaml")
    arguments = [small, "--out", str(folder / "run"), "--to", str(folder), "--workers", "1"]
    assert main(arguments) == 0
    results = json.loads((folder / "small.json").read_text(encoding="utf-8"))
    cells = {path: path.stat().st_mtime_ns for path in folder.glob("run/cells/**/*.json")}
    assert main(arguments) == 0
    assert cells == {path: path.stat().st_mtime_ns for path in cells}
    assert cells
    return results


def test_small_rounds_run_and_resume(tmp_path: Path) -> None:
    results = _run_twice("incremental", tmp_path)
    validate(results)
    assert [entry["fraction"] for entry in results["rounds"]] == [0.1, 0.2]


def test_small_trade_off_runs_and_resumes(tmp_path: Path) -> None:
    results = _run_twice("tradeoff", tmp_path)
    rows = {row["method"]: row for row in results["training"]}
    assert rows["class mean"]["leak"]["mean"] == pytest.approx(0, abs=0.02)
    assert 0.3 < rows["hidden"]["leak"]["mean"] < 1
    few, some = rows["random records"]["leak"], rows["random records"]["leak_released"]
    assert 0 < few["mean"] < 0.5 * some["mean"]
    assert {row["method"] for row in results["inference"]} == {"isotropic", "label-conditional"}
    other = yaml.safe_load((ROOT / "tradeoff" / "small.yaml").read_text(encoding="utf-8"))
    other["setup"]["steps"] += 1
    (tmp_path / "tradeoff").mkdir()
    (tmp_path / "tradeoff" / "other.yaml").write_text(yaml.safe_dump(other), encoding="utf-8")
    with pytest.raises(SettingError, match="another setup"):
        main([str(tmp_path / "tradeoff" / "other.yaml"), "--out", str(tmp_path / "run")])
    assert (tmp_path / "small.svg").read_text(encoding="utf-8").count("isotropic") >= 1
