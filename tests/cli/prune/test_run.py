"""`sfumato prune`: from a network to a smaller one, its files, its report, and its bad ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_model
from torch import nn

import sfumato.cli.prune.run as pruning
from sfumato.cli import main
from sfumato.cli.prune.choices import budget_of, check_numbers, factory_of, importance_of
from sfumato.cli.prune.command import PruneOptions
from sfumato.cli.prune.training import Trainer
from sfumato.compression import Budget, Entropy, Magnitude, Taylor, TorchPruning, count
from sfumato.compression.store import load_network
from sfumato.data import splits, take
from sfumato.errors import SettingError
from sfumato.files import read_json
from sfumato.report.prune.page import validate_prune
from sfumato.train import accuracy, lenet5, mlp, small_cnn
from tests.disk import nearly_full

# A network of seconds: few records, few epochs, many neurons at a time.
QUICK = ["--model", "mlp", "--limit", "200", "--epochs", "3", "--steps", "2", "--at_once", "24"]
QUICK += ["--finish", "1", "--multiplications", "0.3"]


@pytest.fixture
def no_export(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exporting takes seconds; where a test does not look at it, it is left out."""
    monkeypatch.setattr(pruning, "export_onnx", lambda model, shape, path: path)
    monkeypatch.setattr(pruning, "export_program", lambda model, shape, path: path)


@pytest.mark.usefixtures("no_export")
def test_a_run(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prune", *QUICK, "--out", "run"]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[-2:] == ["network: run/network", "report: run/report.html"]
    assert "removing  step" in said or "training" in said
    results = read_json(here / "run/results.json")
    validate_prune(results)
    before, after = results["before"], results["after"]
    assert after["multiplications"] <= 0.3 * before["multiplications"]
    assert results["met"] and results["steps"][after["step"]]["widths"]
    assert results["scratch"]["steps"] > 0
    assert results["data"]["validation"] == 30
    assert (here / "run/config.yaml").is_file()
    assert "How to load it" in (here / "run/report.html").read_text()
    assert results["verdict"][0] in said


@pytest.mark.usefixtures("no_export")
def test_the_lines_of_code_load_the_network(here: Path) -> None:
    assert main(["prune", *QUICK, "--scratch", "false", "--out", "run"]) == 0
    results = read_json(here / "run/results.json")
    assert results["scratch"] is None
    names: dict[str, Any] = {}
    exec("\n".join(results["load"]), names)  # noqa: S102 - what a reader of the report does
    model = names["model"]
    assert count(model, (1, 8, 8)).multiplications == results["after"]["multiplications"]
    test = take(splits("digits")[1], 200)
    error = 1 - accuracy(model, test.inputs, test.labels)
    assert error == pytest.approx(results["after"]["test_error"])


def test_every_form_of_the_network_is_written(here: Path) -> None:
    assert main(["prune", *QUICK, "--method", "plain", "--scratch", "false", "--out", "run"]) == 0
    results = read_json(here / "run/results.json")
    assert results["files"] == {
        "network": "network", "onnx": "network.onnx", "program": "network.pt2",
    }  # fmt: skip
    x = torch.rand(3, 1, 8, 8)
    wanted = load_network(mlp((1, 8, 8), 10), here / "run/network")(x)
    program = torch.export.load(here / "run/network.pt2").module()
    torch.testing.assert_close(program(x), wanted, atol=1e-5, rtol=0)
    assert (here / "run/network.onnx").stat().st_size > 1000


OWN = """
import torch
from torch import nn
from sfumato.compression import Importance

def make(shape, classes):
    return nn.Sequential(nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(),
                         nn.Linear(216, classes))

class First(Importance):
    def score(self, scene):
        return {name: -torch.arange(size) + 6.0 for name, size in scene.wiring.sizes.items()}
"""


@pytest.mark.usefixtures("no_export")
def test_a_network_and_a_measure_of_ones_own(here: Path) -> None:
    (here / "my_pruning.py").write_text(OWN)
    namespace: dict[str, Any] = {}
    exec(OWN, namespace)  # noqa: S102
    model = namespace["make"]((1, 8, 8), 10)
    save_model(model, "weights.safetensors")
    words = ["--model", "my_pruning:make", "--importance", "my_pruning:First", "--steps", "0"]
    words += ["--weights", "weights.safetensors", "--method", "plain", "--finish", "0"]
    words += ["--multiplications", "0.5", "--limit", "100", "--scratch", "false"]
    assert main(["prune", *words, "--out", "run"]) == 0
    results = read_json(here / "run/results.json")
    assert results["load"][0] == "from my_pruning import make"
    assert results["network"]["layers"][0]["before"] == [1, 6]
    assert results["network"]["layers"][0]["after"] == [1, 3]
    small = load_network(model, here / "run/network")
    assert torch.equal(small[0].weight, model[0].weight[:3])  # the last ones went


# going on


@pytest.mark.usefixtures("no_export")
def test_ctrl_c_loses_one_step_at_most(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["prune", *QUICK, "--scratch", "false", "--out"]
    assert main([*words, "whole"]) == 0
    whole = read_json(here / "whole/results.json")
    assert len(whole["steps"]) > 4
    seen: list[int] = []
    show = pruning._event

    def stop(event: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
        seen.append(event["step"])
        if seen == [0, 1, 2, 3]:  # before the third removal is saved
            raise KeyboardInterrupt
        return show(event, before)

    monkeypatch.setattr(pruning, "_event", stop)
    assert main([*words, "cut"]) == 130
    assert "what is finished is kept. Go on with\n  sfumato prune" in capsys.readouterr().err
    assert main([*words, "cut"]) == 0
    assert seen[:6] == [0, 1, 2, 3, 3, 4]
    cut = read_json(here / "cut/results.json")
    for key in ("steps", "before", "after"):
        assert cut[key] == whole[key]


# bad ends


def failed(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["prune", *words]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1
    return said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "lenet6"], "there are lenet5, vgg16, small_cnn, mlp, or module:factory"),
        (["--model", "lenet5"], "at least 16 x 16 pixels, not (1, 8, 8)"),
        (["--model", "nothing:make"], "there is no module nothing"),
        (["--importance", "age"], "there are taylor, entropy, magnitude"),
        (["--importance", "sfumato.train:Recipe"], "is no sfumato.compression.Importance"),
        (["--importance", "entropy", "--method", "plain"], "needs stochastic layers"),
        (["--multiplications", "0"], "--multiplications must be above 0"),
        (["--parameters", "-1"], "--parameters must be above 0"),
        (["--error", "1.5"], "--error is a share of the records, in [0, 1), not 1.5"),
        (["--error", "0.1", "--more_error", "0.1"], "not both"),
        (["--at_once", "0"], "--at_once must be at least 1"),
        (["--margin", "0"], "--margin must be above 0"),
        (["--weights", "gone.safetensors"], "--weights gone.safetensors cannot be loaded"),
        (["--data", "nowhere"], "nowhere"),
        (["--recipe.speed", "3"], "--recipe.speed is unknown; there are epochs"),
    ],
)
def test_wrong_settings_are_told_at_once(
    words: list[str], message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in failed([*words, "--out", "run"], capsys)
    assert not (here / "run/state/plain.checkpoint").exists()


BAD = """
from torch import nn
from sfumato.train import mlp

class Branching(nn.Sequential):
    def forward(self, x):
        return super().forward(x if x.mean() > 0 else -x)

def branching(shape, classes):
    return Branching(*mlp(shape, classes, (8,)))

def broken(shape, classes):
    model = mlp(shape, classes, (8,))
    nn.init.constant_(model[1].bias, float("nan"))
    return model

def noisy(shape, classes):
    from sfumato.compression import stochastic
    return stochastic(mlp(shape, classes, (8,)))

def shallow(shape, classes):
    return mlp(shape, classes, ())

def number(shape, classes):
    return 3

def large(shape, classes):
    return mlp((1, 28, 28), classes, (8,))

def grey(shape):
    return mlp(shape, 10, (8,))

def few(shape, classes):
    return mlp(shape, 3, (8,))
"""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("branching", "torch.fx cannot trace this network"),
        ("broken", "1.bias has values that are NaN or infinite"),
        ("noisy", "this one samples in 1: turn it into its mean path"),
        ("shallow", "no neuron of this network can be removed"),
        ("number", "--model bad_models:number must return an nn.Module, not int"),
        ("large", "--model bad_models:large does not take records of shape [1, 8, 8]: "),
        (
            "grey",
            "--model bad_models:grey cannot be called with the shape [1, 8, 8] and 10",
        ),
        ("few", "--model bad_models:few tells 3 classes apart, and the data has 10"),
    ],
)
def test_a_network_that_cannot_be_pruned_is_not_trained_first(
    name: str, message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "bad_models.py").write_text(BAD)
    words = ["--model", f"bad_models:{name}", "--limit", "100", "--out", "run"]
    assert message in failed(words, capsys)
    assert not (here / "run").exists()  # nothing was trained, and the folder is free


def test_a_budget_that_cannot_be(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quick = [*QUICK[:-1], "1", "--out", "run"]  # one multiplication
    assert "cannot be reached: with one neuron in every layer" in failed(quick, capsys)


@pytest.mark.usefixtures("no_export")
def test_an_error_that_cannot_be_kept(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The best that was found is kept, and the exit code tells."""
    words = [*QUICK[:-1], "0.02", "--more_error", "0", "--patience", "1", "--scratch", "false"]
    assert main(["prune", *words, "--out", "run"]) == 1
    said = capsys.readouterr()
    assert "bound broken: the network does not meet the budget" in said.err
    assert "The budget could not be met within the error that was allowed." in said.out
    assert not read_json(here / "run/results.json")["met"]
    assert (here / "run/network/network.json").is_file()


def test_a_full_disk(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with nearly_full(20_000):
        said = failed([*QUICK, "--out", "run"], capsys)
    assert "disk full while writing run/state" in said


@pytest.mark.usefixtures("no_export")
def test_a_truncated_checkpoint_and_a_report_of_another_run(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*QUICK, "--scratch", "false", "--out", "run"]
    assert main(["prune", *words]) == 0
    last = here / "run/pruning/last.pt"
    last.write_bytes(last.read_bytes()[:1000])
    capsys.readouterr()
    assert "last.pt is damaged" in failed(words, capsys)
    assert "holds a run with other settings (seed 0 -> 1)" in failed(
        [*words, "--seed", "1"], capsys
    )


# what options name


def test_names_of_networks_and_measures() -> None:
    assert factory_of("lenet5") is lenet5
    assert factory_of(None) is small_cnn
    made = {name: importance_of(PruneOptions(importance=name)) for name in ("entropy", "magnitude")}
    assert [type(one) for one in made.values()] == [Entropy, Magnitude]
    assert importance_of(PruneOptions(per_cost=True)) == Taylor(per_cost=True)
    assert importance_of(PruneOptions(importance="tp-group-norm")) == TorchPruning("group-norm")


BEFORE = {
    "multiplications": 1000, "parameters": 200, "activations": 50, "validation_error": 0.02,
}  # fmt: skip


@pytest.mark.parametrize(
    ("options", "budget"),
    [
        (PruneOptions(), Budget(multiplications=100)),
        (PruneOptions(multiplications=0.25), Budget(multiplications=250)),
        (PruneOptions(parameters=60, activations=0.5), Budget(parameters=60, activations=25)),
        (PruneOptions(error=0.1), Budget(error=0.1)),
        (PruneOptions(more_error=0.25), Budget(error=0.27)),
        (PruneOptions(parameters=0.5, error=0.0), Budget(parameters=100, error=0.0)),
    ],
)
def test_budgets(options: PruneOptions, budget: Budget) -> None:
    check_numbers(options)
    assert budget_of(options, BEFORE) == budget


def test_the_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prune", "--help"]) == 0
    said = capsys.readouterr().out
    for word in ("examples:", "sfumato prune", "--more_error", "from scratch", "a share of those"):
        assert word in said
    with pytest.raises(SettingError):
        check_numbers(PruneOptions(finish=-1))


# what is reported


@pytest.mark.usefixtures("no_export")
def test_the_last_training_counts_for_the_budget(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def spoilt(_trainer: Trainer, small: nn.Module, _progress: Any) -> nn.Module:
        with torch.no_grad():
            for parameter in small.parameters():
                parameter.zero_()
        return small

    monkeypatch.setattr(Trainer, "finished", spoilt)
    words = [*QUICK, "--error", "0.8", "--scratch", "false", "--out", "run"]
    assert main(["prune", *words]) == 1
    assert "the network does not meet the budget" in capsys.readouterr().err
    results = read_json(here / "run/results.json")
    assert not results["met"] and results["after"]["validation_error"] > 0.8


@pytest.mark.usefixtures("no_export")
def test_too_few_records(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prune", "--limit", "3", "--epochs", "1", "--out", "run"]) == 2
    assert "3 training records (0 of them held out" in capsys.readouterr().err
