"""The main job in ten lines: fit, release, train on releases, serve; on digits, with tiny settings.

And what a sceptic asks next: does it come out as it should where the answer is known?
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import sfumato as sf
from sfumato.data import digits
from sfumato.obfuscation import FitSettings
from sfumato.obfuscation.release import release_dataset
from sfumato.privacy import DecoderSettings, measure_leak
from sfumato.train import Recipe, accuracy, small_cnn, train_classifier

QUICK = Recipe(epochs=5, min_steps=1, batch_size=64, lr=5e-3)
SHORT = Recipe(epochs=1, min_steps=1, batch_size=64, lr=1e-2)


def test_ten_lines(tmp_path: Path) -> None:
    train, test = digits()
    clean, rest = train.subset(range(300)), train.subset(range(300, 1300))
    model = small_cnn(train.shape, train.num_classes)
    train_classifier(model, clean.inputs, clean.labels, QUICK, seed=0)
    obfuscator = sf.obfuscation.conditional(train.shape, train.num_classes, sigma=0.4)
    settings = FitSettings(kernels=SHORT, selection=SHORT)
    history = sf.fit(obfuscator, model, clean, knob=0.01, settings=settings)
    releases = obfuscator.release(rest.inputs, rest.labels, source="os")
    inputs, labels = torch.cat([clean.inputs, releases]), torch.cat([clean.labels, rest.labels])
    learner = small_cnn(train.shape, train.num_classes)
    train_classifier(learner, inputs, labels, QUICK, seed=1)
    served = obfuscator(test.inputs)

    assert [entry["step"] for entry in history] == [1, 2]
    assert accuracy(learner, test.inputs, test.labels) > 0.7
    assert accuracy(learner, served, test.labels) > 0.3  # by chance: 0.1
    again = sf.Obfuscator.load(obfuscator.save(tmp_path / "obfuscator"), unaudited_ok=True)
    assert again.digest() == obfuscator.digest()
    targets = (test.inputs, test.labels)
    leak = measure_leak(
        again, (train.inputs, train.labels), targets, 10, settings=DecoderSettings(steps=0)
    )
    assert 0 < leak.strongest < 0.9


def test_someone_who_never_has_the_records_trains_on_releases(tmp_path: Path) -> None:
    train, test = digits()
    obfuscator = sf.obfuscation.isotropic(train.shape, 0.3)
    release_dataset(obfuscator, train.subset(range(800)), tmp_path / "released")
    released = sf.data.open_released(tmp_path / "released").records()
    learner = small_cnn(released.shape, released.num_classes)
    train_classifier(learner, released.inputs, released.labels, QUICK, seed=0)
    assert accuracy(learner, test.inputs, test.labels) > 0.7


@pytest.mark.parametrize("inner", ["stochastic", "plain"])
def test_an_obfuscator_inside_a_network_that_is_served(inner: str) -> None:
    train, test = digits()
    head = sf.nn.StochasticLinear(64, 10) if inner == "stochastic" else torch.nn.Linear(64, 10)
    obfuscator = sf.obfuscation.isotropic(train.shape, 0.2)
    model = torch.nn.Sequential(obfuscator, torch.nn.Flatten(), head)
    recipe = Recipe(epochs=3, min_steps=1, batch_size=64, lr=2e-2)
    train_classifier(model, train.inputs, train.labels, recipe, seed=0)
    model.eval()
    with sf.sampling(model, "mean"):
        first, second = model(test.inputs), model(test.inputs)
        found = accuracy(model, test.inputs, test.labels)
    assert not torch.equal(first, second)
    assert found > 0.6


MEANWHILE = """
import sys, torch, sfumato as sf
obfuscator = sf.Obfuscator.load(sys.argv[1], unaudited_ok=True)
torch.manual_seed(0)
print(obfuscator.digest(), float(obfuscator(torch.ones(1, 1, 8, 8)).detach().sum()))
"""


def test_an_obfuscator_serves_in_another_process(tmp_path: Path) -> None:
    obfuscator = sf.obfuscation.conditional((1, 8, 8), 3, 0.5)
    obfuscator.selection = sf.nn.SoftSelection(3, (1, 8, 8))
    folder = obfuscator.save(tmp_path / "obfuscator")
    command = [sys.executable, "-c", MEANWHILE, str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    torch.manual_seed(0)
    expected = float(obfuscator(torch.ones(1, 1, 8, 8)).detach().sum())
    digest, value = done.stdout.split()
    assert digest == obfuscator.digest()
    assert float(value) == pytest.approx(expected, abs=1e-3)
