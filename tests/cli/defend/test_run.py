from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import sfumato.cli.defend.run
from sfumato.cli import main
from sfumato.data import Records
from sfumato.files import read_json
from sfumato.report.defend.page import validate_defend
from sfumato.robustness import RobustnessReport, evaluate
from sfumato.robustness.attacks import FGSM, MarginPGD

TINY = ["--limit", "150", "--epochs", "2", "--steps", "1", "--records", "12", "--epsilons", "0.1"]


@pytest.fixture(autouse=True)
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What `evaluate` is called with; it runs two quick attacks in any case."""
    seen: list[dict[str, Any]] = []

    def quick(model: Any, x: Any, labels: Any, **settings: Any) -> RobustnessReport:
        seen.append({"model": model, "records": len(x), **settings})
        norm = settings["norm"]
        one = FGSM(epsilon=1.0, norm=norm)
        two = MarginPGD(epsilon=1.0, norm=norm, steps=2, restarts=1)
        few = {"draws": 2, "rescoring": 4, "averaged": 2, "attacks": [one, two]}
        return evaluate(model, x, labels, **{**settings, **few})

    monkeypatch.setattr(sfumato.cli.defend.run, "evaluate", quick)
    return seen


def make(shape: tuple[int, ...], classes: int) -> torch.nn.Module:
    """A model of the user's own."""
    return torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(64, 16), torch.nn.ReLU(), torch.nn.Linear(16, classes)
    )


def wide(shape: tuple[int, ...], classes: int) -> torch.nn.Module:
    """A model for larger records."""
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(100, classes))


def narrow(shape: tuple[int, ...], classes: int) -> torch.nn.Module:
    """A model for fewer classes."""
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3))


def nothing(shape: tuple[int, ...], classes: int) -> None:
    """A factory that forgot its `return`."""


OWN = ["--model", f"{__name__}:make"]


def test_defend(
    calls: list[dict[str, Any]], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["defend", *TINY, *OWN, "--out", "run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "report: run/report.html"
    assert any(line.startswith("Under the worst of 2 attacks at L∞ ε = 0.1, ") for line in lines)
    assert any(line.startswith("The same kind of network without defence") for line in lines)
    results = read_json(here / "run/results.json")
    validate_defend(results)
    assert results["defence"] == "plain + PGD"
    assert results["robustness"]["records"] == 12
    assert results["config"]["epsilons"] == [0.1]
    assert (here / "run/report.html").read_text().startswith("<!doctype html>")
    assert load_file(here / "run/pictures.safetensors")["adversarial"].shape == (8, 1, 8, 8)
    own, beside = calls
    assert (own["attacks"], own["prediction"], own["epsilon"]) == ("standard", "sampled", (0.1,))
    assert own["undefended"] is beside["model"]
    assert beside["attacks"] == "quick"


def test_an_interrupted_run_goes_on(
    calls: list[dict[str, Any]], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["defend", *TINY, *OWN, "--out", "run"]
    with monkeypatch.context() as patch:
        patch.setattr(sfumato.cli.defend.run, "evaluate", interrupted)
        assert main(words) == 130
    trained = load_file(here / "run/model.safetensors")
    stamps = {path: path.stat().st_mtime_ns for path in (here / "run/state").iterdir()}
    assert main(words) == 0
    assert {path: path.stat().st_mtime_ns for path in (here / "run/state").iterdir()} == stamps
    again = load_file(here / "run/model.safetensors")
    assert all(torch.equal(trained[name], again[name]) for name in trained)
    assert len(list((here / "run/attacks").rglob("*.safetensors"))) >= 2


def interrupted(*_: Any, **__: Any) -> RobustnessReport:
    raise KeyboardInterrupt


def test_weights_of_ones_own_are_attacked_as_they_are(
    calls: list[dict[str, Any]], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["defend", *TINY, *OWN, "--defence", "se-snn+pgd", "--out", "one"]) == 0
    words = ["--weights", "one/model.safetensors", "--out", "two"]
    assert main(["defend", *TINY, *OWN, "--defence", "se-snn+pgd", *words]) == 0
    assert not (here / "two/model.safetensors").exists()
    states = [call["model"].state_dict() for call in (calls[0], calls[2])]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert read_json(here / "two/results.json")["defence"] == "SE-SNN + PGD, weights given"
    capsys.readouterr()
    assert main(["defend", *TINY, *OWN, "--weights", "one/model.safetensors", "--out", "x"]) == 2
    assert "cannot be loaded into the model" in capsys.readouterr().err


def test_smoothing_is_certified_beside_the_published_recipe(
    calls: list[dict[str, Any]], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["--certify", "6", "--certificate_draws", "40", "--sigma", "0.5"]
    assert main(["defend", *TINY, *OWN, "--defence", "smoothing", *few, "--out", "run"]) == 0
    assert "Certified right within L2 radius 0.5, whatever the attack" in capsys.readouterr().out
    rows = read_json(here / "run/results.json")["certificates"]
    assert [row["name"] for row in rows] == ["smoothing, consistent", "smoothing, as published"]
    assert all((len(row["radii"]), row["n"], row["sigma"]) == (6, 40, 0.5) for row in rows)
    assert calls[0]["prediction"] == "averaged"


def test_any_defence_can_be_certified(here: Path) -> None:
    few = ["--certify", "4", "--certificate_draws", "20", "--defence", "plain"]
    assert main(["defend", *TINY, *OWN, *few, "--out", "run"]) == 0
    results = read_json(here / "run/results.json")
    assert [row["name"] for row in results["certificates"]] == ["plain, smoothed"]
    assert results["beside"] is None  # it is what would stand beside it


def test_records_out_of_bounds_are_told_before_the_work(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    records = Records(torch.randn(8, 1, 8, 8), torch.zeros(8, dtype=torch.int64), ("a", "b"))
    monkeypatch.setattr(sfumato.cli.defend.run, "open_data", lambda *_: (records, records))
    assert main(["defend", "--out", "run"]) == 2
    assert "outside of the bounds" in capsys.readouterr().err
    assert not (here / "run").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--epsilon", "0"], "epsilon must be above 0"),
        (["--steps", "0"], "steps and draws must be at least 1"),
        (["--records", "0"], "--records must be at least 1"),
        (["--certify", "-1"], "--certify must be at least 0"),
        (["--epochs", "0"], "--epochs must be at least 1"),
        (["--sigma", "0"], "sigma must be a number above 0"),
        (["--defence", "hope"], "--defence"),
        (["--epsilon", "2"], "holds every record, whose values lie in [0, 1]"),
        (["--epsilons", "0.1", "-0.1"], "--epsilons must be above 0"),
        (["--certificate_draws", "0"], "--certificate_draws must be at least 1"),
        (["--alpha", "2"], "--alpha must lie inside (0, 1)"),
        (["--weights", "nowhere.safetensors"], "--weights nowhere.safetensors cannot be loaded"),
        (["--model", f"{__name__}:wide"], "does not take records of shape [1, 8, 8]"),
        (["--model", f"{__name__}:narrow"], "tells 3 classes apart, and the data has 10"),
        (["--model", f"{__name__}:nothing"], "must return an nn.Module, not NoneType"),
    ],
)
def test_what_cannot_be(
    words: list[str], message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["defend", *words, "--out", "run"]) == 2
    assert message in capsys.readouterr().err
    assert not (here / "run").exists()  # told before the work


def test_a_radius_in_l2_may_be_larger_than_the_range_of_values(here: Path) -> None:
    words = ["--norm", "l2", "--epsilon", "1.5", "--epsilons", "1.5"]
    assert main(["defend", *TINY, *OWN, *words, "--out", "run"]) == 0


def test_examples_are_first_of_records_that_are_right_without_an_attack(here: Path) -> None:
    words = ["--epochs", "30", "--defence", "plain"]
    assert main(["defend", *TINY, *OWN, *words, "--out", "run"]) == 0
    clean = read_json(here / "run/results.json")["robustness"]["clean"]["sampled"]
    right = min(8, round(clean["mean"] * clean["n"]))
    assert right > 0
    tensors = load_file(here / "run/pictures.safetensors")
    model = make((1, 8, 8), 10)
    model.load_state_dict(load_file(here / "run/model.safetensors"))
    said = model(tensors["original"]).argmax(1)
    assert torch.equal(said[:right], tensors["labels"][:right])
    assert not torch.equal(said[right:], tensors["labels"][right:]) or right == 8
