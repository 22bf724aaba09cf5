from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from sfumato.cli import app, denoise, main
from sfumato.cli.denoise.material import gather_material
from sfumato.data import digits, take
from sfumato.files import read_json
from sfumato.label_noise import NoisyLabels
from sfumato.report.denoise.page import validate_denoise

MODEL = ["--model", f"{__name__}:dense"]
QUICK = [*MODEL, "--epochs", "4", "--lr", "0.01"]


def dense(shape: tuple[int, ...], classes: int) -> torch.nn.Module:
    """A model of the user's own."""
    inside = int(np.prod(shape))
    return torch.nn.Sequential(
        torch.nn.Flatten(),
        torch.nn.Linear(inside, 24),
        torch.nn.ReLU(),
        torch.nn.Linear(24, classes),
    )


def wide(shape: tuple[int, ...], classes: int) -> torch.nn.Module:
    """A model for larger records."""
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(100, classes))


def narrow(shape: tuple[int, ...], classes: int) -> torch.nn.Module:
    """A model for fewer classes."""
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))


def flat(shape: tuple[int, ...], classes: int) -> torch.nn.Module:
    """A model that gives no logits."""
    return torch.nn.Identity()


def nothing(shape: tuple[int, ...], classes: int) -> None:
    """A factory that forgot its `return`."""


def bare() -> torch.nn.Module:
    """A factory that takes nothing."""
    return torch.nn.Identity()


@pytest.fixture(autouse=True)
def command(monkeypatch: pytest.MonkeyPatch) -> None:
    if denoise.COMMAND not in app.COMMANDS:
        monkeypatch.setattr(app, "COMMANDS", (*app.COMMANDS, denoise.COMMAND))


def listed(run: Path) -> list[dict[str, str]]:
    with (run / "suspects.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_digits(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    assert main(["denoise", *QUICK, "--out", "run", "--show", "12"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-2:] == ["suspects: run/suspects.csv", "report: run/report.html"]
    results = read_json(here / "run/results.json")
    validate_denoise(results)
    assert results["data"]["train"] == 1438
    assert results["rows"][0]["wrong"] is None  # nobody knows
    assert len(results["suspects"]) == 12
    rows = listed(here / "run")
    assert sorted(int(one["record"]) for one in rows) == list(range(1438))
    scores = [float(one["score"]) for one in rows]
    assert scores == sorted(scores, reverse=True)
    assert sum(one["flagged"] == "True" for one in rows) == results["flagged"]
    assert "wrong" not in rows[0]
    state = load_file(here / "run/model.safetensors")
    assert state["3.weight"].shape == (10, 24)
    assert load_file(here / "run/pictures.safetensors")["suspects"].shape == (12, 1, 8, 8)


def test_wrong_labels_made_on_purpose_are_found(here: Path) -> None:
    words = ["--noise", "patterned", "--rate", "0", "0.3", "--method", "forward", "plain"]
    few = ["--limit", "600"]
    assert main(["denoise", *MODEL, *few, "--epochs", "25", *words, "--out", "run"]) == 0
    results = read_json(here / "run/results.json")
    assert [(r["method"], r["rate"]) for r in results["rows"]] == [
        ("forward", 0.0), ("forward", 0.3), ("plain", 0.0), ("plain", 0.3)
    ]  # fmt: skip
    clean, noisy = results["rows"][:2]
    assert clean["detection"] is None
    assert noisy["detection"]["average_precision"] > 2 * noisy["wrong"]
    assert noisy["curve"]["found"][-1] == 1.0
    assert results["headline"]["rate"] == 0.3
    rows = listed(here / "run")
    wrong = sum(one["wrong"] == "True" for one in rows)
    assert wrong == round(noisy["wrong"] * 600)
    saved = NoisyLabels.load(here / "run/noise/p-0.3/seed-0", take(digits()[0], 600).labels)
    assert int(saved.flipped.sum()) == wrong
    assert "Accuracy against wrong labels" in (here / "run/report.html").read_text()

    # the saved noise is taken as given
    words = ["--labels", "run/noise/p-0.3/seed-0", "--method", "plain"]
    assert main(["denoise", *QUICK, *few, *words, "--out", "again"]) == 0
    again = read_json(here / "again/results.json")
    assert (again["noise"], again["rows"][0]["wrong"]) == ("file", noisy["wrong"])


def test_stochastic_layers_and_confident_learning(here: Path) -> None:
    words = ["--noise", "symmetric", "--method", "se-snn", "--limit", "300"]
    assert main(["denoise", *QUICK, *words, "--score", "spread", "--out", "spread"]) == 0
    row = read_json(here / "spread/results.json")["rows"][0]
    assert row["doubt"] == "spread"
    assert row["spread_auc"] == pytest.approx(row["detection"]["auc"], abs=1e-9)
    words = [*words[:2], "--limit", "300", "--method", "plain"]
    assert main(["denoise", *QUICK, *words, "--score", "cleanlab", "--out", "folds"]) == 0
    results = read_json(here / "folds/results.json")
    assert results["score"] == "cleanlab"
    assert results["rows"][0]["doubt"] == "entropy"


def test_it_resumes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    words = ["denoise", *QUICK, "--method", "plain", "--limit", "300"]
    assert main([*words, "--out", "whole"]) == 0
    from sfumato.cli.denoise import cell

    real = cell.reporter

    def stopping(out: Path, name: str) -> Any:
        report = real(out, name)

        def stop(event: dict[str, Any]) -> None:
            report(event)
            if event["epoch"] == 3:
                raise KeyboardInterrupt

        return stop

    monkeypatch.setattr(cell, "reporter", stopping)
    assert main([*words, "--out", "run"]) == 130
    assert "sfumato denoise" in capsys.readouterr().err
    monkeypatch.setattr(cell, "reporter", real)
    assert main([*words, "--out", "run"]) == 0
    one, two = (load_file(here / run / "model.safetensors") for run in ("whole", "run"))
    assert all(torch.equal(one[name], two[name]) for name in one)
    capsys.readouterr()
    assert main([*words, "--out", "run"]) == 0
    assert "1 of 1 done" not in capsys.readouterr().out  # nothing was trained again


def test_a_damaged_file_of_an_earlier_run(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    words = ["denoise", *QUICK, "--method", "plain", "--limit", "300", "--out", "run"]
    assert main(words) == 0
    whole = (here / "run/suspects.csv").read_text()
    capsys.readouterr()
    for name in ("suspects.safetensors", "model.safetensors"):
        path = next((here / "run/networks").rglob(name))
        path.write_bytes(path.read_bytes()[:-50])
        assert main(words) == 2
        said = capsys.readouterr().err
        assert len(said.splitlines()) == 1
        assert f"{name} is truncated or damaged: delete it and run again" in said
        path.unlink()
        assert main(words) == 0
        assert (here / "run/suspects.csv").read_text() == whole
        capsys.readouterr()


def test_it_warns_where_nothing_was_learned(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    few = ["--method", "plain", "--epochs", "1", "--lr", "1e-9", "--limit", "300"]
    assert main(["denoise", *MODEL, *few, "--out", "run"]) == 0
    row = read_json(here / "run/results.json")["rows"][0]
    assert row["agreement"] == pytest.approx(1 - row["flagged"] / 300)
    assert 0.1 <= row["chance"] < 0.12
    warning = "Warning: the network has learned next to nothing"
    assert capsys.readouterr().out.count(warning) == 1
    assert warning in (here / "run/report.html").read_text()


def draw(folder: Path, name: str, level: int, size: tuple[int, int]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(hash_of(name)).integers(0, 40, (*size, 3))
    Image.fromarray((noise + level).astype(np.uint8)).save(folder / name)


def hash_of(name: str) -> int:
    return sum(map(ord, name))


def test_a_folder_of_pictures_of_mixed_sizes(here: Path) -> None:
    for at in range(20):
        draw(here / "pets/cat", f"cat{at}.png", 20, (12 + at % 3, 15))
        draw(here / "pets/dog", f"dog{at}.png", 190, (12, 12 + at % 2))
    draw(here / "pets/cat", "a_dog.png", 190, (12, 12))  # the one that is in the wrong folder
    words = ["--data", "pets", *MODEL, "--epochs", "30", "--lr", "0.001", "--method", "plain"]
    assert main(["denoise", *words, "--out", "run"]) == 0
    results = read_json(here / "run/results.json")
    assert results["data"]["test"] is None
    assert results["data"]["train"] == 41
    assert results["rows"][0]["accuracy"] is None
    first = listed(here / "run")[0]
    assert (first["given"], first["guessed"]) == ("cat", "dog")
    assert first["file"].endswith("a_dog.png")
    assert (here / "run/report.html").read_text().count("a_dog.png") == 1


def test_pictures_are_brought_to_a_size(here: Path) -> None:
    for at in range(6):
        draw(here / "pets/cat", f"cat{at}.png", 20, (100, 80))
        draw(here / "pets/dog", f"dog{at}.png", 190, (20, 30))
    options = denoise.DenoiseOptions(data="pets")
    material = gather_material(options)
    assert material.train.shape == (3, 64, 64)
    assert material.train.inputs[:6].mean() < material.train.inputs[6:].mean()
    small = gather_material(denoise.DenoiseOptions(data="pets", size=(10, 8), limit=5))
    assert small.train.shape == (3, 10, 8)
    assert len(small.places) == len(small.train) == 5
    held = gather_material(denoise.DenoiseOptions(data="pets", noise="symmetric"))
    assert held.test is not None and held.held_out
    assert len(held.train) + len(held.test) == 12
    tiny = gather_material(denoise.DenoiseOptions(size=(4, 4), limit=20))
    assert tiny.train.shape == (1, 4, 4)


def test_a_missing_cleanlab_is_told_before_the_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    monkeypatch.setitem(sys.modules, "cleanlab", None)
    monkeypatch.delitem(sys.modules, "cleanlab.filter", raising=False)
    assert main(["denoise", "--score", "cleanlab", "--out", "run"]) == 2
    assert 'needs cleanlab: pip install "sfumato[denoise]"' in capsys.readouterr().err
    assert not (here / "run").exists()  # nothing was trained


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--method", "best"], "--method best is unknown"),
        (["--method", "plain", "plain"], "one or more different names"),
        (["--rate", "0.2"], "--rate needs --noise"),
        (["--noise", "patterned", "--rate", "1.5"], "shares from 0"),
        (["--noise", "patterned", "--labels", "x"], "leave --noise out"),
        (["--labels", "nowhere"], "nowhere/noise.json is not there"),
        (["--score", "spread"], "needs methods with stochastic layers"),
        (["--seeds", "0"], "must be at least 1"),
        (["--epochs", "0"], "--epochs must be at least 1, not 0"),
        (["--lr", "0"], "--lr must be above 0"),
        (["--workers", "-1"], "--workers must be 0 or more"),
        (["--model", f"{__name__}:wide"], "does not take records of shape [1, 8, 8]: "),
        (["--model", f"{__name__}:narrow"], "tells 2 classes apart, and the data has 10"),
        (["--model", f"{__name__}:flat"], "must give logits [2, 10] for 2 records, not [2, 1, 8"),
        (["--model", f"{__name__}:nothing"], "must return an nn.Module, not NoneType"),
        (["--model", f"{__name__}:bare"], "cannot be called with the shape [1, 8, 8] and 10"),
        (["--size", "8"], "a height and a width"),
        (["--data", "no/such"], "no/such"),
        (["--limit", "0"], "limit must be at least 1"),
    ],
)
def test_what_cannot_be_denoised(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    assert main(["denoise", *words, "--out", "run"]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.splitlines()) == 1
    assert not (here / "run").exists()  # the same folder can be used after it
