"""Every objective by its name, objectives of one's own, and how they resume."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import sfumato as sf
from sfumato.errors import SettingError, StoreError
from sfumato.objectives import Adversary, AdversarySettings, Emission, Objective, OnRecords
from tests.obfuscation import tiny
from tests.obfuscation.fitting import SETTINGS, SHORT, fitted, start

QUICK = AdversarySettings(members=2, steps=1, restart=3, warm_up=2, batch_size=32, width=2)
LONGER = replace(SETTINGS, kernels=replace(SHORT, epochs=8), label_penalty=0.0, margin=2.0)


def mean_scale(obfuscator: sf.Obfuscator) -> float:
    data = tiny.records()[0]
    with torch.no_grad():
        return float(obfuscator.distribution(data.inputs, data.labels).stddev.log().mean())


@pytest.mark.parametrize(
    ("objective", "knobs"),
    [
        ("wiener", (0.0, 3.0, 100.0)),
        ("full_information", (0.0, 0.1, 3.0)),
        ("adversary", (0.0, 100.0)),
        (Adversary(QUICK), (0.0, 3.0, 100.0)),
        (OnRecords(sf.objectives.wiener_leak, patch=4), (0.0, 100.0)),
    ],
    ids=["wiener", "full_information", "adversary", "quick adversary", "patches"],
)
def test_the_knob_raises_the_noise(objective: Any, knobs: tuple[float, ...]) -> None:
    settings = replace(LONGER, kernels=SHORT) if objective == "adversary" else LONGER
    scales = []
    for knob in knobs:
        obfuscator = start()
        history = fitted(obfuscator, objective, knob, settings=settings, labels_known=True)
        scales.append(mean_scale(obfuscator))
        assert all(abs(entry["objective"]) < 1e4 for entry in history)
    assert scales == sorted(set(scales))


def test_the_adversary_is_found_out_by_the_obfuscator() -> None:
    obfuscator = start(0.2)
    history = fitted(obfuscator, Adversary(QUICK), 100.0, settings=LONGER, labels_known=True)
    assert history[-1]["objective"] < 0.5 * history[0]["objective"]


class Watching(Objective):
    """Keeps what it was given."""

    def __init__(self) -> None:
        self.prepared: list[tuple[int, ...]] = []
        self.calls: list[str] = []
        self.seen: list[Emission] = []

    def prepare(self, inputs: Tensor, labels: Tensor, num_classes: int) -> None:
        self.prepared.append((*inputs.shape, len(labels), num_classes))

    def step(self, emission: Emission) -> None:
        self.calls.append("step")

    def __call__(self, emission: Emission) -> Tensor:
        self.calls.append("call")
        self.seen.append(emission)
        return emission.releases.square().mean()

    def config(self) -> dict[str, Any]:
        return {}


def test_what_an_objective_of_ones_own_is_given() -> None:
    objective, obfuscator = Watching(), start()
    fitted(obfuscator, objective, 0.1)
    assert objective.prepared == [(120, 1, 8, 8, 120, 4)] * 2
    assert objective.calls == ["step", "call"] * 8
    first, last = objective.seen[0], objective.seen[-1]
    for emission in (first, last):
        assert emission.releases.shape == emission.inputs.shape == (len(emission.labels), 1, 8, 8)
        assert emission.releases.requires_grad
        again = emission.mechanism.release(emission.inputs, emission.labels)
        assert not again.requires_grad and not torch.equal(again, emission.releases)
    # Step 1 under the labels, step 2 under the learned selection, whatever the label.
    x, labels = first.inputs, first.labels
    own = obfuscator.distribution(x, labels).mean
    served = obfuscator.distribution(x).mean
    assert torch.equal(first.mechanism.distribution(x, labels).mean, own)
    assert torch.equal(last.mechanism.distribution(x, labels).mean, served)
    assert not torch.equal(own, served)


class Interrupt(Exception):
    pass


@pytest.mark.parametrize("objective", ["wiener", "quick"])
def test_a_resumed_fit_ends_as_an_uninterrupted_one(tmp_path: Path, objective: str) -> None:
    def make() -> Any:
        return Adversary(QUICK) if objective == "quick" else objective

    whole = start()
    expected = fitted(whole, make(), 1.0)
    for number in range(4):
        path, seen = tmp_path / f"{number}.checkpoint", 0

        def progress(_: Any, number: int = number) -> None:
            nonlocal seen
            seen += 1
            if seen == number + 1:
                raise Interrupt

        with pytest.raises(Interrupt):
            fitted(start(), make(), 1.0, checkpoint=path, progress=progress)
        resumed = start()
        assert fitted(resumed, make(), 1.0, checkpoint=path) == expected
        assert resumed.digest() == whole.digest()


def test_a_checkpoint_of_another_adversary_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fit.checkpoint"
    fitted(start(), Adversary(QUICK), 1.0, checkpoint=path, labels_known=True)
    other = Adversary(replace(QUICK, lr=1e-2))
    with pytest.raises(StoreError, match="belongs to a run with other settings"):
        fitted(start(), other, 1.0, checkpoint=path, labels_known=True)


def test_a_secure_obfuscator_can_be_fitted_against_an_adversary() -> None:
    obfuscator = sf.Obfuscator(start().layer, secure=True)
    history = fitted(obfuscator, Adversary(QUICK), 1.0, labels_known=True)
    assert 0 <= history[-1]["objective"] <= 1


def test_something_that_is_no_objective() -> None:
    broken: Any = 3
    with pytest.raises(SettingError, match="not int"):
        fitted(start(), broken)
