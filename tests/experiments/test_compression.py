"""The tables of smaller networks: their configurations, and a small run of all methods."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from experiments.compression import cells
from experiments.compression.published import TABLES, published
from experiments.compression.setup import setup_of, slug
from experiments.compression.shifts import Shifts
from experiments.compression.table import render
from experiments.compression.teaching import answers, distilled
from experiments.run import main, with_command
from sfumato import train
from sfumato.compression import Distillation, count
from sfumato.errors import SettingError
from sfumato.train import Batch, lenet5, mlp, seeded

ROOT = Path(__file__).parents[2] / "experiments" / "se-snn"
CONFIGS = {
    path.stem: config
    for path in sorted(ROOT.glob("*.yaml"))
    if (config := yaml.safe_load(path.read_text(encoding="utf-8"))).get("table") == "compression"
}


def test_every_promised_table_has_a_configuration() -> None:
    assert set(CONFIGS) >= {
        "lenet", "lenet-small", "vgg16", "vgg16-reduced", "vgg-cifar100", "vgg-cifar100-reduced",
        "pruning-studies",
    }  # fmt: skip


@pytest.mark.parametrize("name", CONFIGS)
def test_configuration_is_valid(name: str, tmp_path: Path) -> None:
    config = CONFIGS[name]
    # the recipes and networks of the real thing, on records that are here
    setup = setup_of({**config, "setup": {**config["setup"], "size": 32}}, "digits", tmp_path)
    for purpose in ("unpruned", "stochastic", "tuning", "finish", "gates"):
        assert setup.recipe(purpose).lr > 0
    assert set(setup.recipes) <= {"unpruned", "stochastic", "tuning", "finish", "gates"}
    names = [entry["name"] for entry in [*config["methods"], *config.get("scratch", [])]]
    assert len({slug(name) for name in names}) == len(names)
    budgets = [stage["name"] for stage in config["budgets"]]
    assert len({slug(name) for name in budgets}) == len(budgets)
    for stage in config["budgets"]:
        assert cells.budget_of(stage)
    for method in config["methods"]:
        assert method["start"] in ("plain", "stochastic", "gates")
        assert method["start"] == "gates" or cells.importance_of(method)
    for entry in config.get("scratch", []):
        assert entry["of"] in names and set(entry["budgets"]) <= set(budgets)
    for setting in config["settings"]:
        assert setup.shifts(setting, 0).copies >= 1


def test_budgets_of_the_full_tables_are_the_papers() -> None:
    for name, label in (("lenet", "0.061"), ("vgg16", "53.6"), ("vgg-cifar100", "181")):
        config = CONFIGS[name]
        row = published(config["published"])[-1]
        limits = next(stage for stage in config["budgets"] if stage["name"] == label)
        shape = (1, 28, 28) if name == "lenet" else (3, 32, 32)
        network = getattr(train, config["setup"]["network"])
        whole = count(network(shape, 100 if "cifar100" in name else 10), shape)
        memory = 100 * limits["activations"] / whole.activations
        assert row["method"] == "SE-SNN"
        assert limits["multiplications"] / 1e6 == pytest.approx(row["mflop"], rel=0.001)
        assert memory == pytest.approx(row["memory"], abs=0.02)
        if "parameters" in limits:
            size = 100 * limits["parameters"] / whole.parameters
            assert size == pytest.approx(row["size"], abs=0.01)


def test_the_decoded_network_is_the_published_row() -> None:
    """2-7-79 (spec 4, table 1) in the counts of the table."""
    size, whole = count(lenet5(widths=(2, 7, 79)), (1, 28, 28)), count(lenet5(), (1, 28, 28))
    row = published("lenet5")[-1]
    assert 100 * size.parameters / whole.parameters == pytest.approx(row["size"], abs=0.005)
    assert size.multiplications / 1e6 == pytest.approx(row["mflop"], abs=0.0005)
    assert 100 * size.activations / whole.activations == pytest.approx(row["memory"], abs=0.02)


def test_published_tables_are_whole() -> None:
    assert {name: len(lines) for name, lines in TABLES.items()} == {
        "lenet5": 10,
        "vgg16": 5,
        "vgg_convolutional": 5,
    }
    assert published(None) == []


def test_shifts_move_by_whole_pixels_and_mirror() -> None:
    shifts = Shifts(1, mirrored=True)
    x = torch.arange(18.0).reshape(1, 2, 3, 3)
    assert shifts.copies == 18
    copies = shifts.copy(x.expand(18, -1, -1, -1), torch.arange(18))
    assert torch.equal(copies[4], x[0])  # the middle of the 3 x 3 places
    assert torch.equal(copies[13], x[0].flip(2))
    assert torch.equal(copies[5, :, :, :2], x[0, :, :, 1:])
    assert float(copies[5, :, :, 2].abs().sum()) == 0
    assert torch.equal(copies[7, :, :2], x[0, :, 1:])
    assert len({tuple(copy.flatten().tolist()) for copy in copies}) == 18


def test_a_batch_always_shows_the_same_copies() -> None:
    shifts, rows = Shifts(2), torch.randperm(500, generator=torch.Generator().manual_seed(0))
    codes = shifts.codes(rows, 0.25)
    assert torch.equal(codes, shifts.codes(rows, 0.25))
    assert not torch.equal(codes, shifts.codes(rows, 0.5))
    assert not torch.equal(codes, Shifts(2, seed=1).codes(rows, 0.25))
    assert set(codes.tolist()) == set(range(25))  # each fails with 25 · 0.96^500 < 1e-7
    x = torch.rand(500, 1, 6, 6, generator=torch.Generator().manual_seed(1))
    assert torch.equal(shifts(x, rows, 0.25), shifts.copy(x, codes))


def test_kept_answers_teach_as_the_live_teacher_does() -> None:
    with seeded(0, "test"):
        teacher, student = mlp((1, 5, 5), 3, (8,)), mlp((1, 5, 5), 3, (4,))
        x = torch.rand(20, 1, 5, 5)
    labels, shifts = torch.arange(20) % 3, Shifts(1)
    rows = torch.tensor([3, 11, 7])
    batch = Batch(shifts(x[rows], rows, 0.5), labels[rows], rows, 0.5)
    table = answers(teacher, x, shifts)
    wrong = distilled(table.roll(1, 0), shifts, 0.9, 4.0)
    with torch.no_grad():
        kept = float(distilled(table, shifts, 0.9, 4.0)(student, batch))
        live = float(Distillation(teacher, 0.9, 4.0)(student, batch))
        other = float(wrong(student, batch))
    assert kept == pytest.approx(live, rel=2e-3)  # half precision
    assert abs(other - live) > 10 * abs(kept - live)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    folder = tmp_path_factory.mktemp("compression")
    arguments = [str(ROOT / "lenet-small.yaml"), "--to", str(folder), "--workers", "1"]
    assert main([*arguments, "--out", str(folder / "run")]) == 0
    return json.loads((folder / "lenet-small.json").read_text(encoding="utf-8")), folder


def test_small_run_meets_its_budgets(small: tuple[dict[str, Any], Path]) -> None:
    results, folder = small
    limits = {stage["name"]: stage for stage in results["config"]["budgets"]}
    rows = [row for row in results["rows"] if row["budget"]]
    methods = {
        entry["name"] for part in ("methods", "scratch") for entry in results["config"][part]
    }
    assert {row["method"] for row in rows} == methods
    reported = {(row["setting"], row["budget"]) for row in rows}
    assert reported == {("shifted", "0.014"), ("unshifted", "0.014"), ("shifted", "0.012")}
    for row in rows:
        assert row["mflop"]["mean"] * 1e6 <= limits[row["budget"]]["multiplications"]
        sizes = count(lenet5((1, 16, 16), 10, row["widths"][0]), (1, 16, 16))
        assert row["mflop"]["mean"] * 1e6 == pytest.approx(sizes.multiplications)
        whole = results["unpruned"]
        assert row["size"]["mean"] == pytest.approx(100 * sizes.parameters / whole["parameters"])
    # ten classes: what was not trained at all has 90 % of errors
    unpruned = [row for row in results["rows"] if row["method"] == "unpruned, plain"]
    assert all(row["error"]["mean"] < 50 for row in unpruned)
    text = (folder / "lenet-small.md").read_text(encoding="utf-8")
    assert render(results) == (folder / "run" / "so-far.md").read_text(encoding="utf-8")
    assert text == with_command(render(results), ROOT / "lenet-small.yaml")
    assert "VIBNet" in (folder / "lenet-small.svg").read_text(encoding="utf-8")


def test_scratch_has_the_architecture_and_the_epochs(small: tuple[dict[str, Any], Path]) -> None:
    results, _ = small
    for setting in results["config"]["settings"]:
        own = [row for row in results["rows"] if row["setting"] == setting]
        rows = {row["method"]: row for row in own if row["budget"] == "0.014"}
        own, anew = rows["plain"], rows["from scratch, distilled"]
        assert own["widths"] == anew["widths"] == rows["from scratch"]["widths"]
        assert own["epochs"] == anew["epochs"] and own["epochs"]["mean"] > 20
        assert own["error"] != anew["error"] or own["validation"] != anew["validation"]


def test_small_run_resumes_and_refuses_another(small: tuple[dict[str, Any], Path]) -> None:
    results, folder = small
    done = {path: path.stat().st_mtime_ns for path in (folder / "run").glob("cells/**/*.json")}
    assert len(done) == 2 * (2 + len(results["config"]["methods"]) + 2)
    arguments = ["--out", str(folder / "run"), "--to", str(folder), "--workers", "1"]
    assert main([str(ROOT / "lenet-small.yaml"), *arguments]) == 0
    assert done == {path: path.stat().st_mtime_ns for path in done}
    other = dict(CONFIGS["lenet-small"], setup=dict(CONFIGS["lenet-small"]["setup"], steps=5))
    (folder / "other.yaml").write_text(yaml.safe_dump(other), encoding="utf-8")
    with pytest.raises(SettingError, match="another setup"):
        main([str(folder / "other.yaml"), *arguments])
    name = next(iter(other["settings"]))
    for changes, what in (
        ({"settings": {name: {"radius": 2}}}, f"setting {name}"),
        ({"methods": [{**other["methods"][0], "max_entropy": {"weight": 1}}]}, "method SE-SNN"),
    ):
        changed = {**CONFIGS["lenet-small"], **changes}
        (folder / "other.yaml").write_text(yaml.safe_dump(changed), encoding="utf-8")
        with pytest.raises(SettingError, match=f"another {what}"):
            main([str(folder / "other.yaml"), *arguments])


def test_an_interrupted_removal_goes_on(
    small: tuple[dict[str, Any], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cell that broke off in its last fine-tuning ends as the one that did not."""
    results, folder = small
    config = results["config"]
    setup = setup_of(config, "digits", folder / "run")
    method = next(entry for entry in config["methods"] if entry["name"] == "plain")
    with monkeypatch.context() as patch:
        patch.setattr(cells, "finished", _break)
        with pytest.raises(KeyboardInterrupt):
            cells.removal(setup, "unshifted", 0, method)
    kept = json.loads((folder / "run/cells/unshifted/plain/seed-0.json").read_text("utf-8"))
    again = replace(setup, folder=folder / "run")
    assert cells.removal(again, "unshifted", 0, method) == kept


def _break(*_: Any) -> None:
    raise KeyboardInterrupt
