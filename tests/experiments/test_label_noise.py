"""The table of wrong labels: what its points are, what it says, and that a small one runs."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from experiments.label_noise.figures import difference, row_of
from experiments.label_noise.page import render
from experiments.label_noise.points import NOISES, Point, nats, points_of
from experiments.label_noise.pruning import narrowed, shape_of, strongest_pixels
from experiments.label_noise.setup import Setup, setup_of
from experiments.label_noise.table import cells_of
from experiments.label_noise.words import verdict
from experiments.run import main, with_command
from sfumato.errors import SettingError
from sfumato.label_noise import OneStage, TwoStage
from sfumato.label_noise.networks import with_noise
from sfumato.nn.mode import sampling
from sfumato.train import mlp, seeded

FOLDER = Path(__file__).parents[2] / "experiments" / "se-snn"
CONFIGS = sorted(FOLDER.glob("label-noise*.yaml"))


def _read(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_configuration_is_valid(path: Path) -> None:
    config = _read(path)
    assert config["table"] == "label_noise"
    command = f"Run: .venv/bin/python -m experiments.run experiments/se-snn/{path.name}"
    assert command in path.read_text(encoding="utf-8")
    points = list(dict.fromkeys(points_of(config)))
    for point in points:
        assert point.build() is not None
        assert point.noise in NOISES and 0 <= point.rate <= 0.5
    assert len({point.name for point in points}) == len(points)
    for row in config.get("pruned", {}).get("rows", []):
        assert row["kind"] in ("whole", "pruned", "scratch")
        if row["kind"] != "whole":
            assert len(shape_of(row["shape"]).widths) == len(config["setup"]["widths"])
    names = [cell.name for cell in cells_of(config, _setup())]
    assert len(set(names)) == len(names) > 0


@cache
def _setup() -> Setup:
    return setup_of({"train_records": 60, "test_records": 20}, "digits")


def test_headline_comes_first_and_then_seed_after_seed() -> None:
    config = _read(FOLDER / "label-noise.yaml")
    keys = [
        (cell.arguments["point"], cell.arguments["seed"]) for cell in cells_of(config, _setup())
    ]
    early = [(p, s) for p, s in keys if p.noise == "patterned" and p.rate == 0.4 and s < 3]
    assert keys[: len(early)] == early
    seeds = [seed for _, seed in keys[len(early) :]]
    assert seeds == sorted(seeds)
    assert set(seeds) == set(config["seeds"])


def test_settings_of_a_point_reach_its_method() -> None:
    point = Point("patterned", 0.4, "se-snn", weight=0.01, margin="log 16", over="neuron")
    method = point.build()
    assert isinstance(method, OneStage) and method.entropy is not None
    assert method.entropy.weight == 0.01
    assert method.entropy.margin == pytest.approx(math.log(16))
    assert method.entropy.over == "neuron"
    both = Point("patterned", 0.4, "se-snn+forward", weight=1.0).build()
    assert isinstance(both, TwoStage) and both.base.entropy is not None
    assert both.base.entropy.weight == 1.0 and both.rule == 97.0
    assert "weight=0.01" in point.name and " " not in point.name


@pytest.mark.parametrize(
    ("point", "words"),
    [
        (Point("patterned", 0.4, "nothing"), "unknown method"),
        (Point("sideways", 0.4, "plain"), "unknown noise"),
        (Point("patterned", 0.4, "dropout", weight=0.1), "no max-entropy"),
        (Point("patterned", 0.4, "se-snn", margin="four"), "number of nats"),
    ],
)
def test_wrong_points_are_refused(point: Point, words: str) -> None:
    with pytest.raises(SettingError, match=words):
        point.build()


def test_margins_are_nats_or_logarithms() -> None:
    assert nats(4) == 4.0
    assert nats("log 1") == 0.0
    assert nats("log 2.5") == pytest.approx(math.log(2.5))


def _row(method: str, accuracies: list[float], rate: float = 0.4) -> dict[str, Any]:
    cells = [{"accuracy": each, "calibration_error": 0.1} for each in accuracies]
    return row_of(Point("patterned", rate, method), cells)


def test_difference_is_taken_seed_by_seed() -> None:
    gap = difference(_row("se-snn", [0.9, 0.8]), _row("dropout", [0.8, 0.7]))
    assert gap["mean"] == pytest.approx(0.1)
    assert gap["std"] == pytest.approx(0, abs=1e-12)
    assert gap["above"] == 2


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ([0.97, 0.971, 0.969], "above by more than the spread"),
        ([0.951, 0.949, 0.953], "not above by more than the spread"),
        ([0.94, 0.93, 0.95], "not above the control"),
    ],
)
def test_verdict_says_whether_se_snn_beats_dropout(own: list[float], words: str) -> None:
    rows = [_row("se-snn", own), _row("dropout", [0.95, 0.951, 0.949])]
    assert words in verdict(rows, [0, 1, 2])[0]


def test_difference_that_is_below_the_spread_of_the_accuracies_is_told() -> None:
    rows = [_row("se-snn", [0.92, 0.96, 0.94]), _row("dropout", [0.91, 0.95, 0.931])]
    assert "not more than that of the accuracies" in verdict(rows, [0, 1, 2])[0]


def test_verdict_names_the_rates_at_which_another_method_is_best() -> None:
    good, better = [0.97, 0.971], [0.98, 0.981]
    rows = [
        _row("se-snn+forward", good, 0.2),
        _row("forward", better, 0.2),
        _row("se-snn+forward", better),
        _row("forward", good),
        _row("se-snn+forward", good, 0.1),
        _row("forward", better, 0.1),
    ]
    said = next(line for line in verdict(rows, [0, 1]) if "best of all" in line)
    assert "**no**: at 0.2 forward has" in said and "0.4" not in said and "at 0.1" not in said
    won = next(line for line in verdict(rows[2:], [0, 1]) if "best of all" in line)
    assert won.endswith("yes, se-snn+forward.")
    targets = [line for line in verdict(rows, [0, 1]) if "at least" in line]
    assert len(targets) == 1 and "97.5 %" in targets[0] and ": reached" in targets[0]


def test_narrowed_network_is_the_whole_one_where_the_other_inputs_are_zero() -> None:
    with seeded(0, "test"):
        whole = with_noise(mlp((8,), 3, (5, 4)))
        x = torch.rand(6, 8)
    x[:, [0, 3, 7]] = 0
    kept = strongest_pixels(whole, x, 5)
    assert kept.tolist() == [1, 2, 4, 5, 6]
    small = narrowed(whole, kept, 3, (5, 4))
    with sampling(whole, "mean"), sampling(small, "mean"):
        torch.testing.assert_close(small(x[:, kept]), whole(x))
    with pytest.raises(SettingError, match="cannot stay"):
        strongest_pixels(whole, x, 9)


def test_small_table_runs_and_resumes(tmp_path: Path) -> None:
    small = str(FOLDER / "label-noise-small.yaml")
    arguments = [small, "--out", str(tmp_path / "run"), "--to", str(tmp_path), "--workers", "1"]
    assert main(arguments) == 0
    files = {path: path.stat().st_mtime_ns for path in tmp_path.glob("run/cells/**/*.json")}
    assert len(files) >= 20
    assert main(arguments) == 0
    assert files == {path: path.stat().st_mtime_ns for path in files}
    results = json.loads((tmp_path / "label-noise-small.json").read_text(encoding="utf-8"))
    page = (tmp_path / "label-noise-small.md").read_text(encoding="utf-8")
    assert page == with_command(render(results), FOLDER / "label-noise-small.yaml")
    rows = {(row["noise"], row["rate"], row["method"]): row for row in results["rows"]}
    clean, wrong = (rows["patterned", rate, "se-snn"] for rate in (0.0, 0.4))
    assert "auc_loss" not in clean and 0 <= wrong["auc_loss"]["mean"] <= 1
    assert "auc_spread" not in rows["patterned", 0.4, "dropout"]
    assert results["pruned"]["rows"][1]["shape"] == "20-14-13-10"
    assert [len(losses) for losses in results["convergence"][1]["losses"].values()] == [2, 2]
    assert results["pruned"]["rows"][2]["shape"] == "20-14-13-10"
    assert "The paper's 95.20 % of a pruned network at p = 0.4: **not reached**" in page
    assert "SE-SNN + Forward best of all" in page and "95.17" in page
    picture = (tmp_path / "label-noise-small.svg").read_text(encoding="utf-8")
    assert picture.count("se-snn") >= 1
    other = _read(FOLDER / "label-noise-small.yaml")
    other["setup"]["recipe"]["lr"] = 0.02
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(other), encoding="utf-8")
    with pytest.raises(SettingError, match="another setup"):
        main([str(tmp_path / "other.yaml"), "--out", str(tmp_path / "run")])
    other = _read(FOLDER / "label-noise-small.yaml")
    other["pruned"]["rate"] = 0.1
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(other), encoding="utf-8")
    with pytest.raises(SettingError, match="another row "):
        main([str(tmp_path / "other.yaml"), "--out", str(tmp_path / "run")])
