from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from sfumato.cli import main
from sfumato.cli.demo import DemoOptions
from sfumato.cli.fit.command import FitOptions
from sfumato.cli.train.command import TrainOptions
from sfumato.files import read_json
from sfumato.obfuscation import Plan
from sfumato.privacy import DecoderSettings, measure_leak
from sfumato.train import Recipe, small_cnn

Calls = list[dict[str, Any]]
QUICK = Recipe(epochs=1, min_steps=0, batch_size=64)


def linear(shape: tuple[int, ...], classes: int) -> torch.nn.Module:
    """A model of the user's own."""
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(shape[1] * shape[2], classes))


def test_demo(calls: Calls, capsys: pytest.CaptureFixture[str], here: Path) -> None:
    assert main(["demo"]) == 0
    (run,) = here.glob("runs/demo-*")
    assert {path.name for path in run.iterdir()} == {"config.yaml", "results.json", "report.html"}
    (call,) = calls
    assert call["plan"] == Plan()
    assert call["model"] is small_cnn
    assert call["out"] == run.relative_to(here)
    assert call["workers"] >= 1
    assert len(call["data"]) > len(call["test"]) > 300
    out = capsys.readouterr().out
    assert "1 done  clean-0.05/seed-0  accuracy 86.1 %" in out
    assert "Isotropic noise wins" in out
    assert out.splitlines()[-1] == f"report: {call['out'] / 'report.html'}"
    results = read_json(run / "results.json")
    assert results["config"]["data"] == "digits"
    assert results["config"]["learner"]["lr"] == 0.001


@pytest.mark.usefixtures("no_page")
def test_settings_reach_the_engine(calls: Calls) -> None:
    words = ["--fractions", "0.2", "0.4", "--seeds", "2", "--knob", "3", "--workers", "1"]
    more = ["--plan.learner.epochs", "4", "--plan.sigmas", "[0.5, 1]", "--plan.rerelease", "true"]
    assert main(["demo", "--limit", "500", *words, *more, "--plan.learner.lr", "1e-2"]) == 0
    plan = calls[0]["plan"]
    assert plan.fractions == (0.2, 0.4)
    assert (plan.seeds, plan.knob, plan.sigmas, plan.rerelease) == ((0, 1), 3.0, (0.5, 1), True)
    assert (plan.learner.epochs, plan.learner.lr) == (4, 0.01)
    assert len(calls[0]["data"]) == 500
    assert calls[0]["workers"] == 1


@pytest.mark.usefixtures("no_page")
def test_full_takes_everything(calls: Calls) -> None:
    assert main(["demo", "--limit", "500", "--full"]) == 0
    assert len(calls[0]["data"]) > 1400


@pytest.mark.usefixtures("no_page")
def test_a_config_makes_the_same_run_again(calls: Calls, here: Path) -> None:
    assert main(["demo", "--fractions", "0.2,0.4", "--plan.sigma", "2", "--out", "one"]) == 0
    assert main(["demo", "--config", "one/config.yaml", "--out", "two"]) == 0
    assert calls[0]["plan"] == calls[1]["plan"]
    assert (here / "one/config.yaml").read_text() == (here / "two/config.yaml").read_text()
    assert main(["demo", "--config", "one/config.yaml", "--knob", "2", "--out", "three"]) == 0
    assert (calls[2]["plan"].knob, calls[2]["plan"].fractions) == (2.0, (0.2, 0.4))


@pytest.mark.usefixtures("no_page")
def test_a_folder_holds_one_run(
    calls: Calls, capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    assert main(["demo", "--out", "run"]) == 0
    assert main(["demo", "--out", "run", "--workers", "2"]) == 0  # goes on, faster
    assert main(["demo", "--out", "run", "--knob", "2"]) == 2
    assert "holds a run with other settings (knob None -> 2.0)" in capsys.readouterr().err
    assert main(["train", "--out", "run"]) == 2
    assert "something other than a run of sfumato train" in capsys.readouterr().err
    (here / "other").mkdir()
    (here / "other/config.yaml").write_text("theirs: [")
    assert main(["demo", "--out", "other"]) == 2
    assert (here / "other/config.yaml").read_text() == "theirs: ["
    assert len(calls) == 2


@pytest.mark.usefixtures("no_page")
def test_train_with_a_model_of_ones_own(calls: Calls, here: Path) -> None:
    (here / "my_models.py").write_text(
        "from torch import nn\n\n\n"
        "def make(shape, classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))\n"
    )
    assert main(["train", "--model", "my_models:make", "--target", "0.9", "--out", "run"]) == 0
    assert calls[0]["model"]((1, 8, 8), 10)[1].out_features == 10
    assert calls[0]["plan"].target == 0.9
    assert calls[0]["command"] == "train"


@pytest.mark.parametrize(
    "words",
    [["train", "--out", "run"], ["fit", "--limit", "300", "--out", "run"]],
    ids=lambda words: words[0],
)
def test_a_model_of_too_few_classes_is_told_before_the_work(
    words: list[str], calls: Calls, capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    (here / "few_models.py").write_text(
        "from torch import nn\n\n\n"
        "def make(shape, classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))\n"
    )
    assert main([*words, "--model", "few_models:make"]) == 2
    said = capsys.readouterr().err
    assert "--model few_models:make tells 3 classes apart, and the data has 10" in said
    assert not calls


def test_report_is_made_anew(calls: Calls, here: Path) -> None:
    assert main(["demo", "--out", "run"]) == 0
    (here / "run/report.html").unlink()
    assert main(["report", "--run", "run"]) == 0
    assert (here / "run/report.html").is_file()
    assert len(calls) == 1


def test_defaults_are_those_of_the_library() -> None:
    plan = Plan()
    for options in (DemoOptions(), TrainOptions()):
        assert options.fractions == plan.fractions
        assert tuple(range(options.seeds)) == plan.seeds
    fit = FitOptions()
    assert (fit.objective, fit.kind) == (plan.objective, plan.kind)


def test_fit_release_and_training_on_releases(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    """The road of two parties: one has the records, the other gets releases."""
    monkeypatch.setattr("sfumato.cli.fit.run.Recipe", lambda: QUICK)
    attack = partial(measure_leak, settings=DecoderSettings(steps=0))
    monkeypatch.setattr("sfumato.cli.fit.run.measure_leak", attack)
    words = ["--limit", "300", "--epochs", "1", "--labels_known", "--out", "fit"]
    assert main(["fit", *words]) == 0
    assert read_json(here / "fit/results.json")["leak"]["n"] == 1
    assert [entry["step"] for entry in read_json(here / "fit/results.json")["history"]] == [1]

    assert main(["release", "--obfuscator", "fit", "--out", "rel", "--shard_size", "500"]) == 0
    manifest = read_json(here / "rel/results.json")["manifest"]
    assert [shard["rows"] for shard in manifest["shards"]] == [500, 500, manifest["count"] - 1000]
    assert {path.suffix for path in (here / "rel/released").iterdir()} == {".parquet", ".json"}

    few = ["release", "--obfuscator", "fit", "--out", "few", "--share", "0.1"]
    assert main(few) == 2
    assert "--weights" in capsys.readouterr().err
    assert main([*few, "--policy", "random"]) == 0
    assert "saved without an audit" in capsys.readouterr().out
    chosen = read_json(here / "few/chosen.json")["records"]
    assert len(chosen) == read_json(here / "few/results.json")["manifest"]["count"]
    assert len(chosen) == round(0.1 * manifest["count"])

    quick = ["--plan.learner", "{epochs: 1, min_steps: 0}", "--seeds", "1"]
    model = ["--model", f"{__name__}:linear"]
    test = ["--released", "rel", "--clean", "digits", "--test", "digits"]
    assert main(["train", *test, *model, *quick, "--out", "one"]) == 0
    results = read_json(here / "one/results.json")
    assert results["released"]["records"] == results["released"]["clean_records"]
    assert results["verdict"][0] in capsys.readouterr().out
    assert load_file(here / "one/models/seed-0.safetensors")["1.weight"].shape == (10, 64)

    assert main(["train", "--released", "rel/released", *model, *quick, "--out", "two"]) == 0
    results = read_json(here / "two/results.json")
    assert results["released"]["tested_on"] == "held-out releases"
    assert "read off the noise" in results["verdict"][1]


@pytest.fixture
def pets(here: Path) -> Path:
    """Picture files in a folder for each of two classes."""
    for kind in ("cat", "dog"):
        (here / "pets" / kind).mkdir(parents=True)
        for number in range(10):
            grey = np.random.default_rng(number).integers(0, 255, (8, 8), dtype=np.uint8)
            Image.fromarray(grey).save(here / "pets" / kind / f"{number}.png")
    return here / "pets"


@pytest.mark.parametrize("command", ["demo", "train", "fit", "prune", "defend", "denoise"])
def test_a_folder_that_cannot_be_learned_from(
    command: str, pets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [command, "--data", "pets", "--out", "run"]
    broken = pets / "dog" / "7.png"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:40])
    assert main(words) == 2
    assert str(Path("dog") / "7.png") in capsys.readouterr().err
    broken.write_bytes(whole)
    shutil.rmtree(pets / "cat")
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "a folder for each class, and two classes at least" in said
    assert said.count("\n") == 1
