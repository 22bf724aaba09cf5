"""`sfumato fit` with a target: what it prints is what the saved obfuscator is certified for."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch

import sfumato as sf
from sfumato.cli import main
from sfumato.files import read_json
from sfumato.privacy import DecoderSettings, certify, measure_leak
from sfumato.train import Recipe

QUICK = ["--limit", "200", "--epochs", "1"]
NARROW = ["--kind", "bottleneck", "--features", "6", "--clip", "2"]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of one epoch, and no decoder network."""
    recipe = Recipe(epochs=1, min_steps=0, batch_size=64)
    monkeypatch.setattr("sfumato.cli.fit.run.Recipe", lambda: recipe)
    attack = partial(measure_leak, settings=DecoderSettings(steps=0))
    monkeypatch.setattr("sfumato.cli.fit.run.measure_leak", attack)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("words", "size"),
    [
        (NARROW, (6,)),
        (["--kind", "additive", "--bound", "0", "1", "--labels_known"], (1, 8, 8)),
        (["--kind", "scales", "--bound", "-1", "1", "--labels_known"], (1, 8, 8)),
    ],
    ids=["bottleneck", "additive", "scales"],
)
def test_a_target_is_reached_from_the_command_line(
    words: list[str], size: tuple[int, ...], capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    asked = ["--target_epsilon", "4", "--delta", "1e-6", "--releases", "2"]
    assert main(["fit", *words, *asked, *QUICK, "--out", "fit"]) == 0
    obfuscator = sf.Obfuscator.load(here / "fit/obfuscator", unaudited_ok=True)
    found = certify(obfuscator, delta=1e-6, releases=2)
    assert found.certified and found.epsilon is not None and 3.99 < found.epsilon <= 4.0
    assert found.words in capsys.readouterr().out
    kept = read_json(here / "fit/results.json")
    assert kept["certificate"]["epsilon"] == found.epsilon
    assert {entry["step"] for entry in kept["history"]} == {1, 2} - {2 * ("--bound" in words)}
    x, labels = torch.rand(3, 1, 8, 8), torch.tensor([0, 1, 2])
    assert obfuscator.release(x, labels).shape == (3, *size)
    if "--bound" not in words:
        assert obfuscator(x).shape == (3, *size)  # step 2 learned its selection


@pytest.mark.usefixtures("quick", "no_page")
def test_without_a_guarantee_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", *QUICK, "--labels_known", "--out", "fit"]) == 0
    assert "Not certified: " in capsys.readouterr().out


@pytest.mark.usefixtures("quick", "no_page")
def test_its_config_makes_the_same_run_again(here: Path) -> None:
    words = ["--kind", "additive", "--bound", "0", "1", "--labels_known", "--seed", "3"]
    assert main(["fit", *words, *QUICK, "--out", "one"]) == 0
    assert main(["fit", "--config", "one/config.yaml", "--out", "two"]) == 0
    one, two = (
        sf.Obfuscator.load(here / name / "obfuscator", unaudited_ok=True) for name in ("one", "two")
    )
    assert one.digest() == two.digest()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--target_epsilon", "4"], "comes from its kernels"),
        (["--target_epsilon", "4", "--kind", "additive"], "location is not bounded"),
        (["--target_epsilon", "40", *NARROW], "says nothing"),
        (["--kind", "bottleneck", "--bound", "0", "1"], "--clip bounds it"),
        (["--features", "8"], "it belongs to --kind bottleneck"),
        (["--kind", "scales", "--clip", "2"], "it belongs to --kind bottleneck"),
        (["--kind", "bottleneck", "--features", "65"], "features must lie in 1..64"),
        (["--kind", "additive", "--bound", "1", "0"], "a bound needs low < high"),
    ],
)
def test_what_does_not_go_together_is_told_before_a_model_is_trained(
    words: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a model was trained")

    monkeypatch.setattr("sfumato.cli.fit.run.train_classifier", never)
    assert main(["fit", *words, "--out", "fit"]) == 2
    assert message in capsys.readouterr().err
