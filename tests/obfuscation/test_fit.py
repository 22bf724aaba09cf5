"""The two-step fit: what the knob does, what each step changes, and what it leaves alone."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import sfumato as sf
from sfumato.obfuscation.obfuscator import Obfuscator
from sfumato.objectives import information
from tests.obfuscation import tiny
from tests.obfuscation.fitting import SETTINGS, SHORT, changed, fitted, start, state, trained


def under_own_label(obfuscator: Obfuscator) -> tuple[float, float]:
    """The information beyond the label, and the mean log-scale."""
    data = tiny.records()[0]
    with torch.no_grad():
        law = obfuscator.distribution(data.inputs, data.labels)
        return float(information(law, data.labels)), float(law.stddev.log().mean())


@pytest.mark.parametrize("objective", ["information", "max_entropy"])
def test_a_larger_knob_hides_more(objective: Any) -> None:
    longer = replace(SHORT, epochs=8)
    settings = replace(SETTINGS, kernels=longer, margin=2.0, label_penalty=0.0)
    found = []
    for knob in (0.0, 0.1, 3.0):
        obfuscator = start()
        fitted(obfuscator, objective, knob, settings=settings, labels_known=True)
        found.append(under_own_label(obfuscator))
    told, scale = zip(*found, strict=True)
    if objective == "information":
        assert told[0] > told[1] > told[2]
    assert scale[0] < scale[1] < scale[2]


def test_the_label_penalty_keeps_the_laws_alike() -> None:
    data, apart = tiny.records()[0], []
    for penalty in (0.0, 10.0):
        obfuscator = start()
        settings = replace(SETTINGS, kernels=replace(SHORT, epochs=6), label_penalty=penalty)
        fitted(obfuscator, "information", 0.1, settings=settings, labels_known=True)
        labels = data.labels, (data.labels + 1) % tiny.CLASSES
        with torch.no_grad():
            laws = [obfuscator.distribution(data.inputs, c) for c in labels]
            apart.append(float(sf.objectives.label_leak(*laws)))
    assert apart[1] < 0.5 * apart[0]


def test_the_history_tells_of_every_epoch() -> None:
    obfuscator = start()
    events: list[dict[str, Any]] = []
    history = fitted(obfuscator, "information", 0.1, progress=events.append)
    assert [(entry["step"], entry["epoch"]) for entry in history] == [
        (1, 1),
        (1, 2),
        (2, 1),
        (2, 2),
    ]
    for entry in history:
        assert entry.keys() == {"step", "epoch", "task", "objective", "accuracy"}
        assert 0 <= entry["accuracy"] <= 1 and entry["task"] > 0
    assert [event["epoch"] for event in events] == [1, 2, 1, 2]


def test_the_task_is_the_cross_entropy_alone() -> None:
    # The first step of the first epoch is not changed by what comes after it.
    one_step = replace(SHORT, epochs=1, batch_size=1000)
    histories = [
        fitted(
            start(),
            knob=knob,
            settings=replace(SETTINGS, kernels=one_step, label_penalty=penalty),
            labels_known=True,
        )
        for knob, penalty in ((0.0, 0.0), (5.0, 0.0), (5.0, 7.0))
    ]
    assert histories[0] == histories[1] == histories[2]


def test_step_1_changes_kernels_and_step_2_the_selection() -> None:
    obfuscator = start()
    obfuscator.selection = sf.nn.SoftSelection(tiny.CLASSES)
    layer, selection = state(obfuscator.layer), state(obfuscator.selection)
    seen: list[bool] = []

    def progress(event: dict[str, Any]) -> None:
        nonlocal layer
        assert obfuscator.selection is not None
        if event["step"] == 1:
            assert not changed(obfuscator.selection, selection)
            assert changed(obfuscator.layer, layer)
            if event["epoch"] == event["epochs"]:
                layer = state(obfuscator.layer)
        seen.append(changed(obfuscator.selection, selection))

    fitted(obfuscator, progress=progress)
    assert seen == [False, False, True, True]
    assert not changed(obfuscator.layer, layer)
    assert all(parameter.requires_grad for parameter in obfuscator.parameters())


def test_joint_changes_both_in_step_2() -> None:
    obfuscator = start()
    kernels: list[dict[str, Tensor]] = []

    def progress(event: dict[str, Any]) -> None:
        kernels.append(state(obfuscator.layer))

    fitted(obfuscator, settings=replace(SETTINGS, joint=True), progress=progress)
    assert changed(obfuscator.layer, kernels[1])
    assert obfuscator.selection is not None
    assert changed(obfuscator.selection, state(sf.nn.SoftSelection(tiny.CLASSES)))


@pytest.mark.parametrize("kind", ["conv", "additive"])
def test_joint_training_serves_the_task_better_than_the_selection_alone(kind: Any) -> None:
    ends = {}
    for joint in (False, True):
        longer = replace(SHORT, epochs=15)
        settings = replace(SETTINGS, selection=longer, joint=joint)
        history = fitted(start(0.3, kind=kind), "information", 0.0, settings=settings)
        ends[joint] = history[-1]["task"]
    assert ends[True] < ends[False]


def test_known_labels_skip_step_2() -> None:
    obfuscator = start()
    history = fitted(obfuscator, labels_known=True)
    assert {entry["step"] for entry in history} == {1}
    assert obfuscator.selection is None


def test_an_unconditional_layer_has_no_step_2() -> None:
    obfuscator = sf.obfuscation.isotropic((1, 8, 8), 0.5)
    before = state(obfuscator)
    assert {entry["step"] for entry in fitted(obfuscator)} == {1}
    assert changed(obfuscator, before) and obfuscator.selection is None


@pytest.mark.parametrize(
    ("shape", "expected"), [((), (4,)), ((1,), (4, 1)), (None, (4, 1, 8, 8))], ids=str
)
def test_the_selection_that_was_asked_for(shape: Any, expected: tuple[int, ...]) -> None:
    obfuscator = start()
    settings = replace(SETTINGS, shape=shape, place="output")
    fitted(obfuscator, settings=settings)
    assert isinstance(obfuscator.selection, sf.nn.SoftSelection)
    assert obfuscator.selection().shape == expected
    assert (obfuscator.selection.place, obfuscator.selection.combine) == ("output", "sum")
    assert obfuscator(tiny.records()[1].inputs).shape == (60, 1, 8, 8)


def test_a_mixture_can_be_fitted() -> None:
    obfuscator = start()
    fitted(obfuscator, settings=replace(SETTINGS, combine="mixture"))
    assert obfuscator.selection is not None
    assert changed(obfuscator.selection, state(sf.nn.SoftSelection(tiny.CLASSES)))


class Gate(nn.Module):
    """π from the record: a linear map and a softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.score = nn.Linear(64, tiny.CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.score(x.flatten(1)).softmax(1)


def test_a_gate_is_fitted_in_step_2() -> None:
    gate = Gate()
    obfuscator = Obfuscator(start().layer, gate)
    before = state(gate)
    fitted(obfuscator)
    assert obfuscator.selection is gate and changed(gate, before)


@pytest.mark.parametrize("kind", ["conv", "additive"])
@pytest.mark.parametrize("joint", [True, False])
def test_an_identity_stays_one(kind: Any, joint: bool) -> None:
    obfuscator = start(kind=kind)
    scales = under_own_label(obfuscator)[1]
    settings = replace(SETTINGS, location="identity", joint=joint)
    fitted(obfuscator, settings=settings)
    data = tiny.records()[0]
    for labels in (data.labels, (data.labels + 1) % tiny.CLASSES):
        assert torch.equal(obfuscator.distribution(data.inputs, labels).mean, data.inputs)
    assert under_own_label(obfuscator)[1] != scales


def test_without_it_the_location_is_learned() -> None:
    obfuscator, data = start(), tiny.records()[0]
    fitted(obfuscator)
    assert not torch.equal(obfuscator.distribution(data.inputs, data.labels).mean, data.inputs)


def test_an_identity_keeps_the_layers_before_it() -> None:
    pre = nn.Conv2d(1, 1, 1)
    before, obfuscator = state(pre), Obfuscator(start().layer, pre=pre)
    fitted(obfuscator, settings=replace(SETTINGS, location="identity"))
    assert not changed(pre, before) and pre.weight.requires_grad
    fitted(obfuscator, settings=SETTINGS)
    assert changed(pre, before)


class Partly(nn.Module):
    """A model of which a part is frozen and in evaluation mode, as in transfer learning."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8))
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(8, tiny.CLASSES))
        self.body.requires_grad_(False).eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


def test_the_model_is_left_as_it_was() -> None:
    model = Partly()
    before = state(model)
    sf.fit(start(), model, tiny.records()[0], settings=SETTINGS)
    assert not changed(model, before)
    assert model.training and model.head.training and not model.body.training
    assert [p.requires_grad for p in model.parameters()] == [False] * 4 + [True] * 2
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_model_is_left_as_it_was_after_an_error() -> None:
    def broken(*_: Any) -> Tensor:
        raise RuntimeError("objective")

    model, obfuscator = Partly(), start()
    with pytest.raises(RuntimeError, match="objective"):
        sf.fit(obfuscator, model, tiny.records()[0], broken, settings=SETTINGS)
    assert model.training and not model.body.training
    assert all(parameter.requires_grad for parameter in model.head.parameters())
    assert all(parameter.requires_grad for parameter in obfuscator.parameters())


def test_an_objective_of_ones_own() -> None:
    calls: list[tuple[int, ...]] = []

    def louder(emitted: sf.nn.Recording, labels: Tensor) -> Tensor:
        (scales,) = emitted.log_scales.values()
        calls.append((len(labels), *scales.shape))
        return -scales.mean()

    obfuscator = start()
    before = under_own_label(obfuscator)[1]
    history = fitted(obfuscator, louder, 10.0, labels_known=True)
    assert under_own_label(obfuscator)[1] > before
    assert calls == [(64, 64, 1, 8, 8), (56, 56, 1, 8, 8)] * 2
    assert history[0]["objective"] == pytest.approx(-math.log(0.5), abs=0.3)


def test_any_dataset_will_do() -> None:
    data = tiny.records()[0]
    ours, theirs = start(), start()
    first = fitted(ours)
    second = sf.fit(theirs, trained(), TensorDataset(data.inputs, data.labels), settings=SETTINGS)
    assert first == second and ours.digest() == theirs.digest()


def test_seeds() -> None:
    digests = []
    for seed in (0, 0, 1):
        obfuscator = start()
        fitted(obfuscator, seed=seed)
        digests.append(obfuscator.digest())
    assert digests[0] == digests[1] != digests[2]


def test_the_callers_random_state_is_left_alone() -> None:
    obfuscator = start()
    trained()
    before = torch.get_rng_state()
    fitted(obfuscator)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_last_batch_of_one_record() -> None:
    data = tiny.records()[0]
    few = data.subset(range(65))  # batches of 64 and 1
    history = sf.fit(start(), trained(), few, knob=1.0, settings=SETTINGS)
    assert all(math.isfinite(value) for entry in history for value in entry.values())
