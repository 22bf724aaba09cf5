"""What a run of pruning gives."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import sfumato as sf
from sfumato.compression import (
    Budget,
    Distillation,
    Entropy,
    Importance,
    Magnitude,
    Scene,
    Taylor,
    TorchPruning,
    Wiring,
    collapse,
    count,
    remove,
)
from sfumato.compression.pruning.row import removed_until
from sfumato.train import Batch, accuracy, cross_entropy
from tests.compression.pruning.runs import FINISH, NOISY_LOSS, TRAIN, VALIDATION, run, trained

SHAPE = (6,)


@pytest.mark.parametrize("noisy", [False, True], ids=["plain", "stochastic"])
def test_the_result_is_plain_dense_and_within_the_budget(noisy: bool) -> None:
    pruned = run(noisy=noisy)
    assert [type(m).__name__ for m in pruned.model] == [  # type: ignore[attr-defined]
        "Flatten", "Linear", "BatchNorm1d", "ReLU", "Linear", "ReLU", "Linear",
    ]  # fmt: skip
    found = count(pruned.model, SHAPE)
    assert pruned.met and found.multiplications <= 40 < pruned.rows[-2].multiplications
    row = pruned.row
    assert (row.multiplications, row.parameters, row.activations) == (
        found.multiplications, found.parameters, found.activations,
    )  # fmt: skip
    first, second = row.widths.values()
    assert found.multiplications == 6 * first + first * second + second * 3
    assert row.error == pruned.error == pytest.approx(1 - accuracy(pruned.model, *VALIDATION))


def test_networks_are_handed_out_in_evaluation() -> None:
    """Dropout and batch norm are not to surprise whoever calls them next."""
    pruned = run()
    assert not any(module.training for module in pruned.model.modules())
    assert not any(module.training for module in pruned.network(pruned.front[0].step).modules())


def test_the_rows_tell_the_whole_way() -> None:
    told: list[dict[str, Any]] = []
    pruned = run(progress=told.append)
    rows = pruned.rows
    assert [row.step for row in rows] == list(range(len(rows))) == [t["step"] for t in told]
    assert rows[0].removed == {} and rows[0].widths == {"1": 8, "4": 6}
    for before, after in pairwise(rows):
        gone = sum(map(len, after.removed.values()))
        assert sum(before.widths.values()) - sum(after.widths.values()) == gone
        assert gone == 1 or after.step == 1
        assert after.multiplications < before.multiplications
    removed = removed_until(rows, rows[-1].step)
    assert all(len(set(numbers)) == len(numbers) for numbers in removed.values())
    architecture = remove(pruned.original, TRAIN[0], removed)
    assert Wiring(architecture, TRAIN[0]).sizes == rows[-1].widths


def test_every_network_on_the_front_can_be_had_again() -> None:
    pruned = run(noisy=True)
    errors = [row.error for row in pruned.front]
    assert errors == sorted(set(errors)) and pruned.front[-1] is pruned.rows[-1]
    assert len(errors) > 1
    for row in pruned.front:
        network = pruned.network(row.step)
        assert count(network, SHAPE).parameters == row.parameters
        assert 1 - accuracy(network, *VALIDATION) == pytest.approx(row.error)
        assert any(isinstance(m, sf.nn.StochasticLinear) for m in pruned.noisy(row.step))  # type: ignore[attr-defined]
    for row in pruned.rows:  # what is not on the front, a smaller network equals
        smaller = [r for r in pruned.front if r.step >= row.step]
        assert min(r.error for r in smaller) <= row.error
    kept = sorted(int(file.stem) for file in (pruned.path / "steps").iterdir())
    assert kept == [row.step for row in pruned.front]
    for row in pruned.rows:
        if row not in pruned.front:
            with pytest.raises(sf.SfumatoError, match="is not on the front"):
                pruned.network(row.step)


def test_the_chosen_network_is_that_of_its_step() -> None:
    pruned = run()
    again = pruned.network(pruned.step)
    for one, other in zip(pruned.model.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    finished = run(finish=FINISH)
    assert finished.rows == pruned.rows and finished.step == pruned.step
    assert not torch.equal(next(finished.model.parameters()), next(again.parameters()))


def test_the_batch_stage_takes_what_never_fires_at_no_loss() -> None:
    model = trained(noisy=True)
    for name in ("2.bias", "4.bias"):
        model.get_parameter(name).data[:2] = -50.0
    pruned = run(model=model)
    row = pruned.rows[1]
    assert {0, 1} <= set(row.removed["1"]) and {0, 1} <= set(row.removed["4"])
    assert row.error == pruned.rows[0].error
    assert len(run(model=model, batch_stage=False).rows[1].removed) == 1


def test_noise_is_on_while_it_learns_and_off_while_it_is_judged() -> None:
    seen: set[tuple[bool, bool]] = set()

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        layer = model.get_submodule("1")
        assert isinstance(layer, sf.nn.StochasticLinear)
        seen.add((layer.mode == "sample", model.training))
        return NOISY_LOSS(model, batch)

    class Looks(Importance):
        def score(self, scene: Scene) -> dict[str, Tensor]:
            assert not torch.is_inference_mode_enabled()
            with scene.reading():
                modes = {getattr(m, "mode", "mean") for m in scene.model.modules()}
                assert modes == {"mean"} and not scene.model.training
            return Magnitude().score(scene)

    run(loss=loss, importance=Looks())
    assert seen == {(True, True)}


@pytest.mark.parametrize(
    "importance",
    [
        Taylor(), Taylor(per_cost=True), Entropy(), Entropy(per_cost=True, normalise="mean"),
        Magnitude(normalise="rank"), TorchPruning("magnitude"), TorchPruning("taylor"),
        TorchPruning("group-norm"),
    ],
    ids=lambda one: f"{type(one).__name__}-{one.normalise}-{one.per_cost}",
)  # fmt: skip
def test_every_importance_reaches_the_budget(importance: Importance) -> None:
    assert run(importance=importance, steps=1).met


def test_several_at_once_and_with_distillation() -> None:
    loss = Distillation(collapse(trained(True)), 0.5)
    pruned = run(at_once=3, loss=loss)
    assert pruned.met and len(pruned.rows) < 7
    assert all(sum(map(len, row.removed.values())) <= 3 for row in pruned.rows[2:])


def test_layers_that_are_kept_keep_their_neurons() -> None:
    pruned = run(keep=["4"], budget=Budget(multiplications=60))
    assert set(pruned.row.widths) == {"1"} and pruned.model.get_parameter("4.weight").shape[0] == 6


def test_augmentation_is_asked_at_every_step() -> None:
    parts: list[float] = []

    def augment(x: Tensor, rows: Tensor, done: float) -> Tensor:
        assert torch.equal(x, TRAIN[0][rows])
        parts.append(done)
        return x + 0.01

    run(augment=augment, steps=2)
    assert set(parts) == {0.0, 0.5}


def test_without_fine_tuning_a_step_is_the_removal_alone() -> None:
    model = trained(noisy=False)
    pruned = run(model=model, noisy=False, steps=0, batch_stage=False)
    alone = remove(model, TRAIN[0], removed_until(pruned.rows, pruned.step))
    assert all(
        torch.equal(a, b)
        for a, b in zip(pruned.model.parameters(), alone.parameters(), strict=True)
    )


def test_the_order_of_importance_decides() -> None:
    class First(Importance):
        def score(self, scene: Scene) -> dict[str, Tensor]:
            return {n: torch.arange(s) + 10.0 * (n == "4") for n, s in scene.wiring.sizes.items()}

        normalise = "none"

    pruned = run(importance=First(), batch_stage=False, budget=Budget(multiplications=75))
    assert [row.removed for row in pruned.rows[1:]] == [
        {"1": [n]} for n in range(len(pruned.rows) - 1)
    ]


def test_the_model_and_the_random_state_are_left_alone() -> None:
    model = trained(noisy=True)
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(5)
    state = torch.get_rng_state()
    run(model=model)
    assert torch.equal(state, torch.get_rng_state()) and model.training
    assert all(torch.equal(before[n], v) for n, v in model.state_dict().items())


def test_the_seed_decides() -> None:
    one, other, third = run(seed=1), run(seed=1), run(seed=2)
    assert one.rows == other.rows
    pairs = list(zip(one.model.parameters(), other.model.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(
        one.model.get_parameter("1.weight"), third.model.get_parameter("1.weight")
    )


def test_a_temporary_folder_goes_with_the_result() -> None:
    pruned = run(loss=cross_entropy)
    path = Path(pruned.path)
    assert path.exists() and math.isfinite(pruned.error)
    del pruned
    assert not path.exists()
