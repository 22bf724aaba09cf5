"""The table of defences: what its points are, what it says, and that a small one runs."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn

from experiments.robustness.figures import collect, difference
from experiments.robustness.measures import MEASURES, certificate, curve, noise
from experiments.robustness.page import render
from experiments.robustness.points import Point, in_order, rows_of
from experiments.robustness.setup import Setup, setup_of, strided
from experiments.robustness.table import cells_of
from experiments.robustness.words import verdict
from experiments.run import main, with_command
from sfumato.errors import SettingError
from sfumato.nn import StochasticLinear
from sfumato.robustness.attacks import FGSM
from sfumato.robustness.defences import Adversarial
from sfumato.train import MaxEntropyLoss, accuracy

FOLDER = Path(__file__).parents[2] / "experiments" / "se-snn"
CONFIGS = sorted([*FOLDER.glob("defence*.yaml"), *FOLDER.glob("smoothing*.yaml")])


def _read(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@cache
def _setup(stem: str) -> Setup:
    config = _read(FOLDER / f"{stem}.yaml")
    few = {"train_records": 60, "test_records": 20}
    return setup_of({**config, **few}, "digits", Path("nowhere"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_configuration_is_valid(path: Path) -> None:
    config, setup = _read(path), _setup(path.stem)
    assert config["table"] == "robustness"
    command = f"Run: .venv/bin/python -m experiments.run experiments/se-snn/{path.name}"
    assert command in path.read_text(encoding="utf-8")
    assert set(config["measures"]) <= set(MEASURES)
    for row, point in rows_of(config):
        made = point.build(setup, 0)
        assert made.model(torch.zeros(2, *setup.shape)).shape == (2, 10)
        assert point.fitted(setup).epochs >= 1 and point.passes(setup) >= 1
        for label in row.get("compare", []):
            assert label in [other["label"] for other, _ in rows_of(config)]
    for seed, points in in_order(config):
        names = [cell.name for part in cells_of(setup, points, seed) for cell in part]
        assert len(set(names)) == len(names) > 0
    asked = {point.name for _, point in rows_of(config)}
    assert asked == {point.name for _, points in in_order(config) for point in points}


def test_main_rows_come_seed_after_seed_and_later_groups_at_the_end() -> None:
    config = _read(FOLDER / "defence-held.yaml")
    order = in_order(config)
    assert [seed for seed, _ in order] == [0, 1, 2, 0, 1, 2]
    assert [point.method for point in order[0][1]] == ["plain", "se-snn"]
    assert {point.training for point in order[0][1]} == {"pgd"}


def test_settings_of_a_point_reach_its_defence() -> None:
    setup = _setup("defence-small")
    made = Point("se-snn", "fgsm", {"weight": 0.01, "margin": "log 4"}).build(setup, 0)
    assert isinstance(made.loss, Adversarial) and made.loss.epsilon == 0.2
    task = made.loss.task
    assert isinstance(task, MaxEntropyLoss)
    assert (task.weight, task.over) == (0.01, "element")
    assert task.margin == pytest.approx(math.log(4))


def test_networks_of_one_seed_start_alike() -> None:
    setup = _setup("defence-held")
    plain, noisy = (Point(name).build(setup, 3).model for name in ("plain", "se-snn"))
    again = Point("plain").build(setup, 4).model
    first = [next(model.parameters()) for model in (plain, noisy, again)]
    assert torch.equal(first[0], first[1])
    assert not torch.equal(first[0], first[2])


def test_passes_are_counted_over_draws_and_steps() -> None:
    small, held = _setup("smoothing-small"), _setup("defence-held")
    assert Point("smoothing", settings={"sigma": 0.25}).passes(small) == 2
    assert Point("consistency", settings={"sigma": 0.25}).passes(small) == 4
    assert Point("plain", "pgd").passes(held) == 20 * 11


def test_strided_network_has_the_shape_it_says() -> None:
    weights = [list(p.shape) for p in strided((1, 28, 28), 10).parameters() if p.dim() > 1]
    assert weights == [[16, 1, 4, 4], [32, 16, 4, 4], [100, 1568], [10, 100]]


@pytest.mark.parametrize(
    ("point", "words"),
    [
        (Point("nothing"), "unknown method"),
        (Point("plain", "sideways"), "unknown training"),
        (Point("plain", settings={"weight": 1.0}), "does not take"),
        (Point("se-snn", settings={"margin": "four"}), "number of nats"),
    ],
)
def test_wrong_points_are_refused(point: Point, words: str) -> None:
    with pytest.raises(SettingError, match=words):
        point.build(_setup("defence-small"), 0)


def test_curve_is_the_one_step_of_every_radius(tmp_path: Path) -> None:
    setup = _setup("smoothing-small")
    model = Point("plain").build(setup, 0).model
    found = curve(model, setup, None, 0, tmp_path, epsilons=[0.02, 0.3], records=20, draws=1)
    x, labels = setup.tested(20)
    for loss in ("cross_entropy", "margin"):
        for epsilon in (0.02, 0.3):
            near = FGSM(epsilon=epsilon, loss=loss)(model, x, labels)
            assert found[loss][f"{epsilon:g}"] == pytest.approx(accuracy(model, near, labels))


def test_noise_is_held_against_the_mean(tmp_path: Path) -> None:
    setup = _setup("defence-small")
    layer = StochasticLinear(setup.shape[-1] ** 2, 10)
    with torch.no_grad():
        layer.weight.zero_()
        assert layer.bias is not None
        layer.bias[:10] = -2.0
        layer.bias[10:] = math.log(math.expm1(0.5))  # softplus gives 0.5
    ratio = noise(nn.Sequential(nn.Flatten(), layer), setup, None, 0, tmp_path, records=5)
    assert ratio["ratio"] == pytest.approx(0.25, rel=0.01)  # min_scale comes on top
    plain = Point("plain").build(setup, 0).model
    assert noise(plain, setup, None, 0, tmp_path, records=5) == {}


def test_only_smoothed_networks_are_certified(tmp_path: Path) -> None:
    setup = _setup("smoothing-small")
    model = Point("plain").build(setup, 0).model
    with pytest.raises(SettingError, match="only smoothed"):
        certificate(model, setup, None, 0, tmp_path / "one", radii=[0], records=2)


def _rows(stochastic: list[float], plain: list[float]) -> tuple[list[dict[str, Any]], Any]:
    """Two rows whose worst case at ε = 0.1 is as given, seed by seed."""
    config = {
        "seeds": list(range(len(plain))),
        "targets": {"0.1": 0.95},
        "groups": [
            {
                "title": "held",
                "shared": {"training": "pgd"},
                "rows": [
                    {"label": "deterministic", "method": "plain"},
                    {"label": "stochastic", "method": "se-snn", "compare": ["deterministic"]},
                ],
            }
        ],
    }

    def cell(point: Point, seed: int) -> dict[str, Any]:
        worst = (plain if point.method == "plain" else stochastic)[seed]
        reasons = ["flat"] if worst < 0.5 else []
        reasons += ["level"] if 0.5 < worst < 0.6 else []
        suite = {
            "worst": {"0.1": worst},
            "masked": float("flat" in reasons),
            "unsettled": float("level" in reasons),
            "reasons": reasons,
        }
        return {"clean": 0.99, "suite": {**suite, "strongest": {"0.1": "square"}}}

    return collect(config, cell), config


@pytest.mark.parametrize(
    ("stochastic", "words"),
    [
        ([0.97, 0.972], ["+1.10 ± 0.14 points (above in 2 of 2 seeds)", "stochastic 97.1"]),
        ([0.96, 0.961], ["within the spread", "(reached)"]),
        ([0.93, 0.931], ["(above in 0 of 2 seeds)", "(**not reached**)"]),
        ([0.4, 0.96], ["Gradient masking found in: held, stochastic (1 of 2 seeds)."]),
        (
            [0.55, 0.96],
            ["Signs of masking that so few records do not settle: held, stochastic (1 of 2 seeds)"],
        ),
        ([0.96, 0.96], ["No sign of gradient masking in any row."]),
        ([0.97, 0.972], ["held, stochastic against deterministic, the worst case"]),
    ],
)
def test_verdict_holds_the_stochastic_network_against_the_other(
    stochastic: list[float], words: list[str]
) -> None:
    rows, config = _rows(stochastic, [0.959, 0.962] if "within" in words[0] else [0.96, 0.96])
    said = "\n".join(verdict(rows, config))
    assert all(word in said for word in words), said


def test_signs_stand_apart_from_reasons() -> None:
    (_, noisy), _ = _rows([0.4, 0.55], [0.9, 0.9])
    assert noisy["reasons"] == ["flat"] and noisy["signs"] == ["level"]


def test_difference_is_taken_seed_by_seed() -> None:
    (plain, noisy), _ = _rows([0.9, 0.8], [0.8, 0.7])
    gap = difference(noisy, plain, "suite/worst/0.1")
    assert gap["mean"] == pytest.approx(0.1)
    assert gap["std"] == pytest.approx(0, abs=1e-12)
    assert gap["above"] == 2


def test_where_both_rows_are_at_zero_nothing_is_compared() -> None:
    rows, config = _rows([0.0, 0.0], [0.0, 0.0])
    assert not any("against" in line for line in verdict(rows, config))


def test_a_row_that_is_compared_with_none_is_told() -> None:
    rows, config = _rows([0.9], [0.9])
    rows[1]["compare"] = ["nobody"]
    with pytest.raises(SettingError, match="no row is called 'nobody'"):
        verdict(rows, config)


def test_small_table_runs_and_resumes(tmp_path: Path) -> None:
    small = str(FOLDER / "defence-small.yaml")
    arguments = [small, "--out", str(tmp_path / "run"), "--to", str(tmp_path), "--workers", "1"]
    assert main(arguments) == 0
    files = {path: path.stat().st_mtime_ns for path in tmp_path.glob("run/**/*.json")}
    assert len(files) >= 20
    lost = next(tmp_path.glob("run/cells/fgsm/plain/seed-0.json"))
    whole = lost.read_text(encoding="utf-8")
    lost.unlink()  # what it is made of is still there
    assert main(arguments) == 0
    assert lost.read_text(encoding="utf-8") == whole
    assert {p: t for p, t in files.items() if p.stat().st_mtime_ns != t}.keys() <= {lost}
    results = json.loads((tmp_path / "defence-small.json").read_text(encoding="utf-8"))
    page = (tmp_path / "defence-small.md").read_text(encoding="utf-8")
    assert page == with_command(render(results), FOLDER / "defence-small.yaml")
    row = results["rows"][0]["figures"]
    for key in ("curve/margin/0.2", "budget/lower/1", "suite/worst/0.2", "suite/masked"):
        assert 0 <= row[key]["mean"] <= 1 and len(row[key]["values"]) == 2
    assert row["budget/lower/1"]["mean"] <= row["budget/carlini-wagner/1"]["mean"]
    assert "2 of the 3 seeds so far" in page and "not reached" in page
    assert (tmp_path / "defence-small.svg").read_text(encoding="utf-8").count("SE-SNN") >= 1
    other = _read(FOLDER / "defence-small.yaml")
    other["setup"]["recipe"]["lr"] = 0.02
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(other), encoding="utf-8")
    with pytest.raises(SettingError, match="another setup"):
        main([str(tmp_path / "other.yaml"), "--out", str(tmp_path / "run")])


def test_small_table_of_certificates_runs(tmp_path: Path) -> None:
    small = str(FOLDER / "smoothing-small.yaml")
    arguments = [small, "--out", str(tmp_path / "run"), "--to", str(tmp_path), "--workers", "1"]
    assert main(arguments) == 0
    results = json.loads((tmp_path / "smoothing-small.json").read_text(encoding="utf-8"))
    figures = results["rows"][2]["figures"]
    zero, more = (figures[f"certificate/certified/{r}"]["mean"] for r in ("0", "0.25"))
    assert 0 <= more <= zero <= 1
    assert "certified accuracy seed by seed" in " ".join(results["verdict"])
