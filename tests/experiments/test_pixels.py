"""The tables of spec 5: configurations are valid, the small one runs, resumes and is true."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from experiments.pixels.figures import gains
from experiments.pixels.rows import Row, rows_of
from experiments.pixels.shapes import shape_of
from experiments.pixels.table import points_of
from experiments.pixels.words import verdict
from experiments.run import main
from sfumato.errors import SettingError
from sfumato.pixels.scenes import digit_scenes

ROOT = Path(__file__).parents[2] / "experiments" / "pixels"
CONFIGS = sorted(ROOT.glob("*.yaml"))


def _read(path: Path) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return config


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_configuration_is_valid(path: Path) -> None:
    config = _read(path)
    assert f"experiments.run experiments/pixels/{path.name}" in path.read_text(encoding="utf-8")
    rows = rows_of(config)
    scenes = digit_scenes("train").subset(list(range(4)))
    for row in rows:
        predictor = row.make_predictor(scenes)
        selector = row.make_selector(scenes, predictor)
        assert selector.learned or row.weight is None
        row.fitted(config["recipe"])
    assert len(points_of(config, rows)) >= len(rows)
    names = {row.name for row in rows}
    asked = [target[key] for target in config.get("targets", []) for key in ("row", "over")]
    asked += [name for each in config.get("headroom", []) for name in each.values()]
    assert set(asked) <= names


def test_small_table_runs_and_resumes(tmp_path: Path) -> None:
    arguments = [str(ROOT / "small.yaml"), "--out", str(tmp_path / "run"), "--to", str(tmp_path)]
    assert main([*arguments, "--workers", "1"]) == 0
    results = json.loads((tmp_path / "small.json").read_text(encoding="utf-8"))
    text = (tmp_path / "small.md").read_text(encoding="utf-8")
    assert (tmp_path / "small.svg").stat().st_size > 0
    cells = {path: path.stat().st_mtime_ns for path in (tmp_path / "run" / "cells").rglob("*.json")}
    assert len(cells) == 2 * (2 * 7 + 2)
    assert main([*arguments, "--workers", "1"]) == 0
    assert cells == {path: path.stat().st_mtime_ns for path in cells}
    for row in results["rows"]:
        if results["descriptions"][row["row"]]["weight"] is None:
            bought = row["pixels"]
            assert (bought["minimum"], bought["maximum"]) == (row["k"], row["k"])
        else:
            assert "held" in row
    assert not list((tmp_path / "run" / "state").rglob("*.pt"))
    assert "| oracle |" in text
    assert "2 of 3 seeds so far" in text


def test_the_pattern_of_the_chosen_pixels(tmp_path: Path) -> None:
    grid = torch.zeros(3, 1, 6, 6)
    grid[:, :, 1::2, 1::2] = 1
    border = torch.zeros(3, 1, 6, 6)
    border[:, :, 0, :3] = 1
    border[2, :, 0, 0] = 0
    found, edge = shape_of(grid, grid), shape_of(border, torch.cat([border[:2], 0 * border[2:]]))
    assert (found["lattice"], found["distinct"], found["empty"]) == (1.0, 9, 0.0)
    assert found["border"] == pytest.approx(5 / 9)
    assert (edge["border"], edge["distinct"], edge["empty"]) == (1.0, 3, pytest.approx(1 / 3))
    assert edge["border_uniform"] == pytest.approx(20 / 36)
    assert edge["often"][0][:4] == [pytest.approx(2 / 3, abs=1e-3), 1.0, 1.0, 0.0]
    assert shape_of(0 * grid, grid)["border"] is None

    config = {**_read(ROOT / "small.yaml"), "seeds": [0], "budgets": [4], "shapes": True}
    config["rows"] = [config["rows"][1], {**config["rows"][-1], "budgets": [4]}]
    del config["targets"], config["headroom"]
    path = tmp_path / "pixels" / "shapes.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    arguments = [str(path), "--out", str(tmp_path / "run"), "--to", str(tmp_path)]
    assert main([*arguments, "--workers", "1"]) == 0
    assert "at the border, %" in (tmp_path / "shapes.md").read_text(encoding="utf-8")
    assert "4 pixels" in (tmp_path / "shapes.svg").read_text(encoding="utf-8")


def test_another_recipe_needs_another_folder(tmp_path: Path) -> None:
    config = {**_read(ROOT / "small.yaml"), "seeds": [0], "budgets": [4]}
    config["rows"] = config["rows"][:1]
    del config["targets"], config["headroom"]
    for steps, works in ((2, True), (3, False)):
        config["recipe"] = {"steps": steps}
        path = tmp_path / "pixels" / f"{steps}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        arguments = [str(path), "--out", str(tmp_path / "run"), "--workers", "1"]
        if works:
            assert main(arguments) == 0
        else:
            with pytest.raises(SettingError, match="another setup"):
                main(arguments)
    config["recipe"] = {"steps": 2}
    config["rows"][0]["predictor_settings"] = {"width": 4}
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    with pytest.raises(SettingError, match=f"another row {config['rows'][0]['name']}"):
        main(arguments)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"name": "a"}, {"name": "a"}], "names of their own"),
        ([{"name": "a", "selector": "Nearest"}], "unknown selector"),
        ([{"name": "a", "predictor": "vit"}], "unknown selector or predictor"),
        ([{"name": "a", "compare": ["b"]}], "not there"),
    ],
)
def test_wrong_rows_are_told(rows: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        rows_of({"rows": rows})


def _entry(name: str, values: list[float], higher: bool) -> dict[str, Any]:
    mean = sum(values) / len(values)
    figure = {"mean": mean, "std": 0.0, "values": values}
    return {
        "row": name, "k": 4, "headline": "x", "higher_is_better": higher, "figures": {"x": figure}
    }  # fmt: skip


@pytest.mark.parametrize(("higher", "sign"), [(True, 1), (False, -1)])
def test_verdict_knows_what_is_better(higher: bool, sign: int) -> None:
    base, step = 0.5, sign * 0.03
    rows = [
        _entry("grid", [base, base + 0.01, base + 0.02], higher),
        _entry("ours", [base + step, base + 0.01 + step, base + 0.02 + 0.9 * step], higher),
        _entry("oracle", [base + 2 * step] * 3, higher),
    ]
    found = gains(rows[1], rows[0])
    assert found is not None
    assert found["mean"] == pytest.approx(0.029)
    about = {row["row"]: Row(row["row"]).__dict__ for row in rows}
    about["ours"]["compare"] = ("grid",)
    config = {
        "budgets": [4],
        "seeds": [0, 1, 2],
        "targets": [
            {"row": "ours", "over": "grid", "gain": 0.02, "budgets": [4]},
            {"row": "ours", "over": "grid", "gain": 0.04, "budgets": [4]},
            {"row": "ours", "over": "grid", "gain": 0.05, "budgets": [4], "relative": True},
        ],
        "headroom": [{"row": "ours", "over": "grid", "oracle": "oracle"}],
    }
    lines = verdict({"config": config, "rows": rows, "descriptions": about})
    assert [line.endswith(", reached.") for line in lines[:3]] == [True, False, True]
    assert "(beyond chance)" in lines[3]
    assert "closes" in lines[4]
