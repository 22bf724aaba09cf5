"""The table of re-identification: a small one runs, on virtual cameras and on a real folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torch import nn

from experiments.reidentification.cells import backbone_named, small_backbone
from experiments.reidentification.page import render, verdict
from experiments.reidentification.paper import said
from experiments.run import main, with_command
from sfumato.errors import SettingError
from sfumato.label_noise.reidentification import REIDENTIFICATION_METHODS
from sfumato.train import Recipe

FOLDER = Path(__file__).parents[2] / "experiments" / "se-snn"
CONFIGS = sorted(FOLDER.glob("reidentification*.yaml"))
SMALL = FOLDER / "reidentification-small.yaml"


def _read(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_configuration_is_valid(path: Path) -> None:
    config = _read(path)
    assert config["table"] == "reidentification"
    command = f"Run: .venv/bin/python -m experiments.run experiments/se-snn/{path.name}"
    assert command in path.read_text(encoding="utf-8")
    assert set(config["methods"]) <= set(REIDENTIFICATION_METHODS)
    assert "parallel" in config["methods"]
    assert all(0 <= rate <= 1 for rate in config["rates"])
    assert all(Recipe(**config[stage]).epochs > 0 for stage in ("first", "second"))


def test_paper_is_quoted_where_it_has_figures() -> None:
    assert said("se-snn", 0.1).startswith("27.30 ± 0.43, 53.21 ± 1.11")
    assert said("forward-argmax", 0.5) == "15.34 ± 0.56, 36.06 ± 1.48, 56.23 ± 1.63, 64.55 ± 1.97"
    assert said("se-snn", 0.0) == "70.20"
    assert said("dropout", 0.1) == said("se-snn", 0.3) == said("bootstrap-hard", 0.0) == ""


def _rows(gap: float, std: float) -> list[dict[str, Any]]:
    def row(method: str, precision: float, gap: float) -> dict[str, Any]:
        measured = {"mean": precision, "std": 0.1, "n": 3}
        gaps = {"mean": gap, "std": std, "n": 3, "above": 3 if gap > 0 else 0}
        return {"method": method, "rate": 0.2, "mean_average_precision": measured, "gap": gaps}

    return [row("parallel", 0.3, 0.0), row("se-snn", 0.3 + gap, gap)]


@pytest.mark.parametrize(
    ("gap", "std", "words"),
    [
        (-0.01, 0.001, "**below it**. Best: B."),
        (0.01, 0.02, "**not above it by more"),
        (0.01, 0.001, "above it by more than the spread of the differences. Best: SE-SNN."),
    ],
)
def test_verdict_says_how_se_snn_stands(gap: float, std: float, words: str) -> None:
    assert words in verdict(_rows(gap, std))[0]


def test_backbones_are_found_by_name() -> None:
    found = backbone_named(f"{small_backbone.__module__}:small_backbone")
    assert found is small_backbone is backbone_named(None)
    features = found((3, 16, 8))(torch.zeros(2, 3, 16, 8))
    assert features.shape == (2, 128)
    assert isinstance(found((1, 8, 8)), nn.Sequential)
    for name in ("nowhere:make", f"{small_backbone.__module__}:nothing", "small_backbone"):
        with pytest.raises(SettingError, match="backbone"):
            backbone_named(name)


def _results(folder: Path, name: str) -> dict[str, Any]:
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def test_small_table_runs_and_resumes(tmp_path: Path) -> None:
    words = [str(SMALL), "--out", str(tmp_path / "run"), "--to", str(tmp_path), "--workers", "1"]
    assert main(words) == 0
    files = {path: path.stat().st_mtime_ns for path in tmp_path.glob("run/cells/**/*.json")}
    assert len(files) == 2 + 2 * 2 * 3
    assert main(words) == 0
    assert files == {path: path.stat().st_mtime_ns for path in files}
    results = _results(tmp_path, "reidentification-small")
    page = (tmp_path / "reidentification-small.md").read_text(encoding="utf-8")
    assert page == with_command(render(results), FOLDER / "reidentification-small.yaml")
    assert "stand-in" in page and "not comparable" in page
    rows = {(row["method"], row["rate"]): row for row in results["rows"]}
    assert rows["parallel", 0.5]["gap"]["mean"] == 0
    assert "auc_spread" in rows["se-snn", 0.5] and "auc_spread" not in rows["se-snn", 0.0]
    made = json.loads((tmp_path / "run/cells/wrong/seed-0.json").read_text(encoding="utf-8"))
    assert made["wrong"] == {"0.5": pytest.approx(0.5)}
    assert (tmp_path / "reidentification-small.svg").stat().st_size > 0
    other = _read(SMALL)
    other["weight"] = 0.5
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(other), encoding="utf-8")
    with pytest.raises(SettingError, match="another setup"):
        main([str(tmp_path / "other.yaml"), "--out", str(tmp_path / "run")])


def _market(folder: Path) -> None:
    """Eight people by two cameras in Market-1501's layout: four to train on, four to ask for."""
    draw = np.random.default_rng(0)
    parts = {"bounding_box_train": (1, 2), "query": (1,), "bounding_box_test": (1, 2)}
    for part, cameras in parts.items():
        (folder / part).mkdir(parents=True)
        for person in range(1, 5) if part == "bounding_box_train" else range(5, 9):
            for camera in cameras:
                picture = draw.integers(0, 255, (12, 8, 3), dtype=np.uint8)
                name = f"{person:04d}_c{camera}s1_000001_00.jpg"
                Image.fromarray(picture).save(folder / part / name)


def test_configuration_takes_a_real_folder(tmp_path: Path) -> None:
    _market(tmp_path / "market")
    config = _read(SMALL) | {"seeds": [0], "methods": ["parallel", "se-snn"], "size": [16, 8]}
    (tmp_path / "real.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    words = [str(tmp_path / "real.yaml"), "--out", str(tmp_path / "run"), "--workers", "1"]
    assert main([*words, "--data", str(tmp_path / "market")]) == 0
    results = _results(tmp_path, "real")
    assert results["data"]["market"] is True
    assert (results["data"]["train"], results["data"]["identities"]) == (8, 4)
    page = (tmp_path / "real.md").read_text(encoding="utf-8")
    assert "stand-in" not in page and str(tmp_path) not in page
