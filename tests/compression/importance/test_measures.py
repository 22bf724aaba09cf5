"""Importances against references written by hand, and torch-pruning's own against itself."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import sfumato as sf
from sfumato.compression import (
    Entropy,
    Magnitude,
    Scene,
    Taylor,
    TorchPruning,
    Wiring,
    collapse,
    stochastic,
    toy_scene,
)
from sfumato.errors import SettingError
from tests.compression.models import NETWORKS, network


def scene_of(name: str, noisy: bool) -> Scene:
    model, inputs = network(name)
    model = stochastic(model).eval() if noisy else model
    return Scene(model, Wiring(model, inputs), inputs, torch.arange(12) % 3)


def test_taylor_on_a_convolution_by_hand() -> None:
    scene = toy_scene("convolutional", noisy=False)
    model, wanted = scene.model, {"0": torch.zeros(5), "2": torch.zeros(4)}
    for x, label in zip(scene.inputs, scene.labels, strict=True):
        maps: list[Tensor] = []
        y = x[None]
        for layer in model:  # type: ignore[attr-defined]
            y = layer(y)
            if isinstance(layer, nn.ReLU):
                y.retain_grad()
                maps.append(y)
        F.cross_entropy(y, label[None]).backward()
        for name, a in zip(wanted, maps, strict=True):
            assert a.grad is not None
            wanted[name] += (a.detach() * a.grad).mean((0, 2, 3)).abs() / len(scene.inputs)
    for name, values in Taylor(batch_size=7).score(scene).items():
        torch.testing.assert_close(values, wanted[name], rtol=1e-4, atol=1e-8)


def test_taylor_is_the_first_order_change_of_the_loss() -> None:
    # Scale what is read of one neuron by 1 - t: the loss of one record changes by t · score · M.
    scene = scene_of("residual", noisy=False)
    one = Scene(scene.model.double(), scene.wiring, scene.inputs[:1].double(), scene.labels[:1])
    scores = Taylor().score(one)["stem"]

    def loss(shrink: float, neuron: int) -> float:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
            x = inputs[0].clone()
            x[:, neuron] *= 1 - shrink
            return x

        # the residual sum is read by `first`, `wider` and `shortcut`
        layers = [one.model.get_submodule(n) for n in ("first", "wider", "shortcut")]
        hooks = [layer.register_forward_pre_hook(hook) for layer in layers]
        value = float(F.cross_entropy(one.model(one.inputs), one.labels).detach())
        for each in hooks:
            each.remove()
        return value

    for neuron in range(6):
        change = abs(loss(1e-5, neuron) - loss(-1e-5, neuron)) / 2e-5
        assert float(scores[neuron]) * 64 * 3 == pytest.approx(change, rel=1e-4, abs=1e-9)


def test_taylor_looks_at_the_mean_path() -> None:
    scene = scene_of("vgg", noisy=True)
    plain = Scene(collapse(scene.model), scene.wiring, scene.inputs, scene.labels)
    one, other = Taylor().score(scene), Taylor().score(plain)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_entropy_is_the_mean_log_scale() -> None:
    scene = toy_scene("convolutional")
    with sf.sampling(scene.model, "mean"), sf.record(scene.model) as rec, torch.no_grad():
        scene.model(scene.inputs)
    for name, values in Entropy(batch_size=9).score(scene).items():
        wanted = (-rec.log_scales[name].mean((0, 2, 3))).exp()
        torch.testing.assert_close(values, wanted, rtol=1e-4, atol=0)


def test_entropy_needs_noise_in_every_group() -> None:
    model, inputs = network("lenet")
    half = stochastic(model, ["0", "3"])
    scene = Scene(half, Wiring(half, inputs), inputs, torch.zeros(12).long())
    with pytest.raises(SettingError, match=r"neurons of '7' have no entropy.*keep=\['7'\]"):
        Entropy().score(scene)
    kept = Scene(half, Wiring(half, inputs, ["7"]), inputs, torch.zeros(12).long())
    assert set(Entropy().score(kept)) == {"0", "3"}


def test_magnitude_is_the_norm_of_all_filters_of_a_neuron() -> None:
    scene = scene_of("residual", noisy=True)
    state = collapse(scene.model).state_dict()
    squares = state["stem.weight"].flatten(1).square().sum(1)
    squares = squares + state["second.weight"].flatten(1).square().sum(1)
    torch.testing.assert_close(Magnitude().score(scene)["stem"], squares.sqrt())


@pytest.mark.parametrize("name", NETWORKS)
def test_every_importance_on_every_network(name: str) -> None:
    scene = scene_of(name, noisy=True)
    for importance in (Taylor(), Entropy(), Magnitude(), TorchPruning("taylor"), TorchPruning()):
        scores = importance.score(scene)
        assert {n: len(s) for n, s in scores.items()} == scene.wiring.sizes
        assert all(bool(s.isfinite().all()) and bool((s >= 0).all()) for s in scores.values())


@pytest.mark.parametrize("kind", ["magnitude", "taylor", "group-norm"])
def test_torch_pruning_scores_as_it_does_by_itself(kind: str) -> None:
    import torch_pruning

    scene = scene_of("lenet", noisy=True)
    model = collapse(scene.model)
    graph = torch_pruning.DependencyGraph().build_dependency(model, scene.inputs[:2])
    F.cross_entropy(model(scene.inputs), scene.labels).backward()
    measure = {
        "magnitude": torch_pruning.importance.MagnitudeImportance(group_reduction="first"),
        "taylor": torch_pruning.importance.TaylorImportance(),
        "group-norm": torch_pruning.importance.GroupMagnitudeImportance(),
    }[kind]
    found = TorchPruning(kind).score(scene)  # type: ignore[arg-type]
    for name, size in scene.wiring.sizes.items():
        layer = model.get_submodule(name)
        pruner: Any = graph.get_pruner_of_module(layer)
        prune = pruner.prune_out_channels
        wanted = measure(graph.get_pruning_group(layer, prune, list(range(size))))
        torch.testing.assert_close(found[name], wanted)


def test_an_unknown_kind() -> None:
    with pytest.raises(SettingError, match="unknown kind 'taylor2'"):
        TorchPruning("taylor2")  # type: ignore[arg-type]
