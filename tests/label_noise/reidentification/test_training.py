from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import sfumato as sf
from sfumato.errors import DataError, SettingError, StoreError
from sfumato.label_noise.networks import Parallel
from sfumato.label_noise.outputs import log_spread
from sfumato.label_noise.reidentification import (
    REIDENTIFICATION_METHODS,
    Identities,
    ReidentificationNetwork,
    ReidentificationPlan,
    embed,
    extend,
    last_unit,
    reidentify,
    split_unseen,
    train_reidentification,
    virtual_identities,
)
from sfumato.train import Recipe, seeded

QUICK = Recipe(epochs=2, min_steps=0, batch_size=32)
PLAN = ReidentificationPlan(QUICK, QUICK)


def backbone() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 6))


@pytest.fixture(scope="module")
def people() -> Identities:
    with seeded(0, "people"):
        pictures = torch.rand(10, 1, 2, 2).repeat_interleave(4, 2).repeat_interleave(4, 3)
    return virtual_identities(pictures, cameras=3, views=2, jitter=0.3)


train = partial(train_reidentification, backbone, plan=PLAN, seed=5)


@pytest.mark.parametrize("method", REIDENTIFICATION_METHODS)
def test_every_method_trains_and_finds(method: Any, people: Identities) -> None:
    split = split_unseen(people, 0.6)
    events: list[dict[str, Any]] = []
    network = train(split.train, method=method, progress=events.append)
    found = reidentify(network, split, ranks=(1, 5))
    assert found.queries == 4 * 3
    assert 0 < found.mean_average_precision <= 1
    assert found.cmc[1] <= found.cmc[5]
    phases = list(dict.fromkeys(event["phase"] for event in events))
    corrected = ["stage 1, corrected"] if method == "forward-argmax" else []
    assert phases == ["stage 1", *corrected, "stage 2"]
    stochastic = [m for m in network.modules() if isinstance(m, sf.nn.StochasticLinear)]
    assert len(stochastic) == (method == "se-snn")
    assert any(isinstance(m, Parallel) for m in network.modules()) == (
        method not in ("se-snn", "dropout")
    )
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_both_kinds_of_extension_are_of_one_size(people: Identities) -> None:
    network = ReidentificationNetwork(backbone(), people.shape, 10)
    sizes = [
        sum(p.numel() for p in extend(network, kind).parameters())
        for kind in ("parallel", "stochastic")
    ]
    assert sizes[0] == sizes[1] == sum(p.numel() for p in network.parameters()) + 64 * 6 + 6


def test_stage_2_begins_where_stage_1_ended_and_trains_the_last_unit_alone(
    people: Identities,
) -> None:
    network = ReidentificationNetwork(backbone(), people.shape, 10)
    extended = extend(network, "stochastic")
    torch.testing.assert_close(embed(extended, people), embed(network, people))
    free = {name for name, p in extended.named_parameters() if p.requires_grad}
    assert free == {f"{n}.{p}" for n in ("backbone.3", "classifier") for p in ("weight", "bias")}
    assert last_unit(backbone()) == "3"
    other = extend(network, "stochastic", "0")
    assert isinstance(other.get_submodule("backbone.0"), sf.nn.StochasticConv2d)
    assert all(p.requires_grad for p in network.parameters())


def test_features_take_the_mean_path_and_sampling_does_not(people: Identities) -> None:
    network = extend(ReidentificationNetwork(backbone(), people.shape, 10), "stochastic")
    assert torch.equal(embed(network, people), embed(network, people, batch_size=7))
    assert not torch.equal(network.embed(people.inputs), network.embed(people.inputs))
    assert log_spread(network, people.inputs).shape == (len(people),)


def test_it_resumes_to_the_same_network(people: Identities, tmp_path: Path) -> None:
    whole = train(people, method="se-snn")

    def stop(event: dict[str, Any]) -> None:
        if (event["phase"], event["epoch"]) == ("stage 2", 1):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(people, method="se-snn", folder=tmp_path, progress=stop)
    events: list[dict[str, Any]] = []
    again = train(people, method="se-snn", folder=tmp_path, progress=events.append)
    assert [(event["phase"], event["epoch"]) for event in events] == [("stage 2", 2)]
    assert torch.equal(embed(whole, people), embed(again, people))
    events.clear()
    train(people, people.labels.flip(0), method="se-snn", folder=tmp_path, progress=events.append)
    assert len(events) == 4  # other labels are another run
    events.clear()
    shared = train(people, method="dropout", folder=tmp_path, progress=events.append)
    assert {event["phase"] for event in events} == {"stage 2"}  # the first is the same
    assert torch.equal(embed(shared, people), embed(train(people, method="dropout"), people))


def test_learning_helps(people: Identities) -> None:
    split = split_unseen(people, 0.6)
    with seeded(5, "network"):
        fresh = ReidentificationNetwork(backbone(), people.shape, 6)
    plan = ReidentificationPlan(Recipe(epochs=40, min_steps=0, batch_size=12, lr=1e-2), QUICK)
    trained = train(split.train, method="parallel", plan=plan)
    before, after = (
        reidentify(network, split).mean_average_precision for network in (fresh, trained)
    )
    assert after > before


def test_a_map_of_features_is_averaged() -> None:
    network = ReidentificationNetwork(nn.Conv2d(3, 5, 3), (3, 9, 7), 4)
    assert network.embed(torch.zeros(2, 3, 9, 7, dtype=torch.uint8)).shape == (2, 5)
    assert isinstance(
        extend(network, "stochastic").get_submodule("backbone"), sf.nn.StochasticConv2d
    )


def test_what_cannot_be_trained(people: Identities) -> None:
    with pytest.raises(SettingError, match="unknown method"):
        train(people, method="best")  # type: ignore[arg-type]
    with pytest.raises(DataError):
        train(people, people.labels[:5])
    with pytest.raises(SettingError, match="must give features"):
        train_reidentification(lambda: nn.Flatten(2), people, plan=PLAN)
    with pytest.raises(SettingError, match="at least two identities"):
        ReidentificationNetwork(backbone(), people.shape, 1)
    with pytest.raises(SettingError, match="no linear or convolutional layer"):
        last_unit(nn.Flatten())
    network = ReidentificationNetwork(backbone(), people.shape, 4)
    with pytest.raises(SettingError, match="no linear layer or convolution"):
        extend(network, "stochastic", "1")


def test_a_folder_is_of_one_plan_and_of_its_pictures(people: Identities, tmp_path: Path) -> None:
    """What was trained with another weight, unit or pictures is not taken for this."""

    def go(data: Identities = people, **plan: Any) -> None:
        own = ReidentificationPlan(QUICK, QUICK, **plan)
        train_reidentification(backbone, data, plan=own, seed=5, folder=str(tmp_path))

    go()
    go()
    with pytest.raises(StoreError, match="another weight"):
        go(weight=1.0)
    with pytest.raises(StoreError, match="another margin"):
        go(margin=0.0)
    with pytest.raises(StoreError, match="another unit"):
        go(unit="0")
    others = Identities(255 - people.inputs, people.identities, people.cameras)
    with pytest.raises(StoreError, match="another pictures"):
        go(others)

    def pretrained() -> nn.Module:
        made = backbone()
        nn.init.constant_(next(made.parameters()), 0.1)
        return made

    with pytest.raises(StoreError, match="another network"):
        train_reidentification(
            pretrained, people, plan=ReidentificationPlan(QUICK, QUICK), seed=5, folder=tmp_path
        )


def test_distances_are_exact_where_features_share_much(people: Identities) -> None:
    """A bias of 1e3 on every feature changes no distance, and so must change no figure."""
    split = split_unseen(people, 0.2)  # torch is inexact beyond 25 pictures
    with seeded("shared"):
        network = ReidentificationNetwork(nn.Flatten(), people.shape, 6)
    plain = reidentify(network, split)

    class Shifted(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x.flatten(1) + 1e3).float()

    network.backbone = Shifted()
    assert reidentify(network, split).mean_average_precision == pytest.approx(
        plain.mean_average_precision, abs=0.02
    )
