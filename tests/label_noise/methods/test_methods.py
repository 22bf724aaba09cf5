"""Every named method trains, resumes and refuses another job's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import sfumato as sf
from sfumato.errors import SettingError, StoreError
from sfumato.files import read_json
from sfumato.label_noise import (
    METHODS,
    Dropout,
    NoisyLabels,
    OneStage,
    PatternedFlips,
    TwoStage,
    train_with_noise,
)
from sfumato.label_noise.methods import Job, described
from sfumato.label_noise.methods.folds import fold_numbers
from sfumato.nn.base import SamplingModule
from sfumato.train import Recipe, cross_entropy
from tests.label_noise.toys import CLASSES, RECIPE, clouds, network

INPUTS, CLEAN = clouds()
NOISY = PatternedFlips(0.15).corrupt(CLEAN, seed=0)
TEST = clouds(120, seed=1)
STAGES = {
    "forward": ["first", "corrected-1"],
    "forward-argmax": ["first", "corrected-1"],
    "forward-count": ["first", "corrected-1", "corrected-2"],
    "dropout+forward": ["first", "corrected-1"],
    "dropout+forward-count": ["first", "corrected-1", "corrected-2"],
    "se-snn+forward": ["first", "corrected-1"],
    "se-snn+forward-count": ["first", "corrected-1", "corrected-2"],
    "se-snn-element+forward": ["first", "corrected-1"],
    "se-snn-element+forward-count": ["first", "corrected-1", "corrected-2"],
    "cleanlab": ["fold-1", "fold-2", "fold-3", "fold-4", "pruned"],
}


def same(one: nn.Module, other: nn.Module) -> bool:
    states = one.state_dict(), other.state_dict()
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize("name", METHODS)
def test_every_method_learns(name: str) -> None:
    events: list[dict[str, Any]] = []
    done = train_with_noise(
        name, network, INPUTS, NOISY, recipe=RECIPE, test=TEST, progress=events.append
    )
    stages = STAGES.get(name, ["train"])
    assert list(done.losses) == stages
    assert list(dict.fromkeys(event["stage"] for event in events)) == stages
    kept = len(INPUTS) - (0 if done.dropped is None else len(done.dropped))
    seen = {"fold": len(INPUTS) * 3 // 4, "pruned": kept}
    for stage, losses in done.losses.items():
        assert len(losses) == RECIPE.epochs_for(seen.get(stage.split("-")[0], len(INPUTS)))
    assert done.accuracy is not None and done.accuracy > 0.75
    assert done.calibration_error is not None and 0 <= done.calibration_error <= 1
    assert (done.matrix is not None) == ("forward" in name)
    assert (done.matrix_error is not None) == ("forward" in name)
    assert (done.dropped is not None) == (name == "cleanlab")
    figures = done.figures()
    assert figures["method"]["name"] == name
    assert figures["accuracy"] == done.accuracy


def test_noise_is_where_it_belongs() -> None:
    quick = Recipe(epochs=1, min_steps=1)
    drawing = {
        name: any(isinstance(m, SamplingModule)
                  for m in train_with_noise(name, network, INPUTS, NOISY, recipe=quick)
                  .model.modules())
        for name in ("plain", "parallel", "dropout", "se-snn", "het")
    }  # fmt: skip
    assert [name for name, draws in drawing.items() if draws] == ["se-snn", "het"]


def test_layers_are_chosen() -> None:
    quick = Recipe(epochs=1, min_steps=1)
    model = train_with_noise("se-snn", network, INPUTS, NOISY, recipe=quick, layers=["3"]).model
    assert [n for n, m in model.named_modules() if isinstance(m, SamplingModule)] == ["3"]


def test_counting_finds_the_matrix() -> None:
    done = train_with_noise("forward-count", network, INPUTS, NOISY, recipe=RECIPE)
    assert done.matrix_error is not None
    # What is left is the noise of counting 80 labels a class, and a few wrong predictions.
    assert done.matrix_error < 0.05


def test_labels_alone_are_enough() -> None:
    done = train_with_noise("forward", network, INPUTS, NOISY.labels, recipe=RECIPE)
    assert done.matrix is not None
    assert (done.matrix_error, done.accuracy, done.calibration_error) == (None, None, None)


def test_a_seed_is_a_training() -> None:
    quick = Recipe(epochs=2, min_steps=1)
    state = torch.get_rng_state()
    one, again, other = (
        train_with_noise("se-snn", network, INPUTS, NOISY, recipe=quick, seed=seed).model
        for seed in (0, 0, 1)
    )
    assert same(one, again)
    assert not same(one, other)
    assert torch.equal(torch.get_rng_state(), state)


class Interrupted(Exception):
    """What Ctrl-C would raise."""


@pytest.mark.parametrize("name", ["se-snn", "se-snn+forward", "cleanlab"])
@pytest.mark.parametrize("after", [2, 5])
def test_an_interrupted_run_ends_as_one_that_was_not(name: str, after: int, tmp_path: Path) -> None:
    quick = Recipe(epochs=3, min_steps=1, batch_size=32)
    whole = train_with_noise(name, network, INPUTS, NOISY, recipe=quick)
    seen: list[Any] = []

    def stop(event: dict[str, Any]) -> None:
        seen.append(event)
        if len(seen) == after:
            raise Interrupted

    total = sum(len(losses) for losses in whole.losses.values())
    if after < total:
        with pytest.raises(Interrupted):
            train_with_noise(
                name, network, INPUTS, NOISY, recipe=quick, folder=tmp_path, progress=stop
            )
    rest: list[Any] = []
    done = train_with_noise(
        name, network, INPUTS, NOISY, recipe=quick, folder=tmp_path, progress=rest.append
    )
    assert same(done.model, whole.model)
    assert done.losses == whole.losses
    assert len(rest) == (total - after if after < total else total)


def test_a_loss_that_was_not_noted_is_none(tmp_path: Path) -> None:
    """Killed after the checkpoint of the second of three epochs, before its note."""
    quick = Recipe(epochs=3, min_steps=1)
    whole = train_with_noise("plain", network, INPUTS, NOISY, recipe=quick)

    def stop(event: dict[str, Any]) -> None:
        if event["epoch"] == 2:
            raise Interrupted

    with pytest.raises(Interrupted):
        train_with_noise(
            "plain", network, INPUTS, NOISY, recipe=quick, folder=tmp_path, progress=stop
        )
    notes = tmp_path / "train.losses.json"
    notes.write_text(str(read_json(notes)[:1]), encoding="utf-8")
    done = train_with_noise("plain", network, INPUTS, NOISY, recipe=quick, folder=tmp_path)
    first, _, last = whole.losses["train"]
    assert done.losses == {"train": [first, None, last]}
    assert same(done.model, whole.model)


def test_a_folder_is_of_one_job(tmp_path: Path) -> None:
    quick = Recipe(epochs=1, min_steps=1)
    train_with_noise("plain", network, INPUTS, NOISY, recipe=quick, folder=tmp_path)
    with pytest.raises(StoreError, match="another method"):
        train_with_noise("dropout", network, INPUTS, NOISY, recipe=quick, folder=tmp_path)
    with pytest.raises(StoreError, match="another labels"):
        train_with_noise("plain", network, INPUTS, CLEAN, recipe=quick, folder=tmp_path)
    with pytest.raises(StoreError, match="another seed"):
        train_with_noise("plain", network, INPUTS, NOISY, recipe=quick, folder=tmp_path, seed=1)


def test_settings_are_the_same_in_every_process() -> None:
    for method in METHODS.values():
        text = str(described(method))
        assert "0x" not in text
        assert text == str(described(method))
    one, other = OneStage(Dropout(0.5)), OneStage(Dropout(0.3))
    assert described(one) != described(other)


def test_folds_share_every_label() -> None:
    part = fold_numbers(NOISY.labels, 4, seed=0)
    assert torch.bincount(part).tolist() == [60] * 4
    for label in range(CLASSES):
        counts = torch.bincount(part[NOISY.labels == label], minlength=4)
        assert int(counts.max() - counts.min()) <= 1
    assert not torch.equal(part, fold_numbers(NOISY.labels, 4, seed=1))


def test_settings_that_cannot_be() -> None:
    wrong: Any = 3
    with pytest.raises(SettingError, match="unknown method 'magic'"):
        train_with_noise("magic", network, INPUTS, NOISY)
    with pytest.raises(SettingError, match="a name or a Method"):
        train_with_noise(wrong, network, INPUTS, NOISY)
    rules: list[Any] = ["median", 0, 101.0]
    for rule in rules:
        with pytest.raises(SettingError, match="rule"):
            TwoStage(rule=rule)
    with pytest.raises(SettingError, match="round"):
        TwoStage(rounds=0)


def test_noisy_labels_keep_the_truth_to_themselves() -> None:
    """The true labels of `NoisyLabels` change nothing in the network."""
    quick = Recipe(epochs=1, min_steps=1)
    lied = NoisyLabels(NOISY.labels, NOISY.clean.flip(0), NOISY.matrix, None, {}, 0)
    one, other = (
        train_with_noise("se-snn+forward-count", network, INPUTS, each, recipe=quick).model
        for each in (NOISY, lied)
    )
    assert same(one, other)


def test_a_method_of_ones_own() -> None:
    class Twice(nn.Module):
        def __init__(self, inside: nn.Module) -> None:
            super().__init__()
            self.inside = inside

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * self.inside(x)

    job = Job(network, INPUTS, NOISY.labels, Recipe(epochs=1, min_steps=1))
    model = job.network(lambda plain, _: Twice(plain))
    job.train("twice", model, sf.train.cross_entropy, torch.arange(10))
    assert len(job.losses["twice"]) == 1


def test_a_folder_is_of_one_data_set_network_and_loss(tmp_path: Path) -> None:
    """What was learned from other records, by another network or loss, is not taken for this."""

    def weighted(weight: float) -> Any:
        return OneStage(task=lambda model, batch: weight * cross_entropy(model, batch))

    def other() -> torch.nn.Module:
        return torch.nn.Sequential(network(), torch.nn.Identity())

    def pretrained() -> torch.nn.Module:
        made = network()
        torch.nn.init.constant_(next(made.parameters()), 0.1)
        return made

    def go(method: Any, make: Any, inputs: torch.Tensor) -> None:
        quick = Recipe(epochs=1, min_steps=1)
        train_with_noise(method, make, inputs, NOISY, recipe=quick, folder=tmp_path)

    go(weighted(1.0), network, INPUTS)
    go(weighted(1.0), network, INPUTS)
    with pytest.raises(StoreError, match="another records"):
        go(weighted(1.0), network, INPUTS + 1)
    with pytest.raises(StoreError, match="another network"):
        go(weighted(1.0), other, INPUTS)
    with pytest.raises(StoreError, match="another network"):
        go(weighted(1.0), pretrained, INPUTS)
    with pytest.raises(StoreError, match="another method"):
        go(weighted(2.0), network, INPUTS)


def test_losses_that_are_none(tmp_path: Path) -> None:
    quick = Recipe(epochs=1, min_steps=1)
    train_with_noise("plain", network, INPUTS, NOISY, recipe=quick, folder=tmp_path)
    (tmp_path / "train.losses.json").write_text("3", encoding="utf-8")
    with pytest.raises(StoreError, match="holds no losses"):
        train_with_noise("plain", network, INPUTS, NOISY, recipe=quick, folder=tmp_path)
