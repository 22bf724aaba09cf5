"""The contract of an importance holds for ours, and finds what is wrong with others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from sfumato.compression import (
    Entropy,
    Importance,
    Magnitude,
    Scene,
    Taylor,
    TorchPruning,
    toy_scene,
)
from sfumato.testing.importance import ImportanceContract


class _OfToys(ImportanceContract):
    def scene(self, kind: str, *, noisy: bool = True, mirrored: bool = False) -> Scene:
        return toy_scene(kind, noisy=noisy, mirrored=mirrored)


class TestTaylor(_OfToys):
    sees_activations = True

    def make(self) -> Importance:
        return Taylor()


class TestEntropy(_OfToys):
    needs_noise = True

    def make(self) -> Importance:
        return Entropy()


class TestMagnitude(_OfToys):
    def make(self) -> Importance:
        return Magnitude()


class TestTorchPruningMagnitude(_OfToys):
    def make(self) -> Importance:
        return TorchPruning("magnitude")


class TestTorchPruningTaylor(_OfToys):
    def make(self) -> Importance:
        return TorchPruning("taylor")


class TestTorchPruningGroupNorm(_OfToys):
    def make(self) -> Importance:
        return TorchPruning("group-norm")


class Right(Importance):
    """The sum of a neuron's weights, squared."""

    def score(self, scene: Scene) -> dict[str, Tensor]:
        return {name: score.square() for name, score in Magnitude().score(scene).items()}


class Short(Right):
    def score(self, scene: Scene) -> dict[str, Tensor]:
        return {name: score[:-1] for name, score in super().score(scene).items()}


class Partial(Right):
    def score(self, scene: Scene) -> dict[str, Tensor]:
        scores = super().score(scene)
        return {next(iter(scores)): next(iter(scores.values()))}


class Infinite(Right):
    def score(self, scene: Scene) -> dict[str, Tensor]:
        return {name: score / 0 for name, score in super().score(scene).items()}


class Tracked(Right):
    def score(self, scene: Scene) -> dict[str, Tensor]:
        return {name: score.requires_grad_() for name, score in super().score(scene).items()}


class Blind(Right):
    def score(self, scene: Scene) -> dict[str, Tensor]:
        return {name: torch.ones_like(score) for name, score in super().score(scene).items()}


class Counting(Right):
    def score(self, scene: Scene) -> dict[str, Tensor]:
        return {name: torch.arange(len(s)) * 1.0 for name, s in super().score(scene).items()}


class Unseeded(Right):
    def score(self, scene: Scene) -> dict[str, Tensor]:
        random = torch.Generator()
        random.seed()
        scores = super().score(scene).items()
        return {name: s + 1e-6 * torch.rand(s.shape, generator=random) for name, s in scores}


class Evaluating(Right):
    def score(self, scene: Scene) -> dict[str, Tensor]:
        scene.model.eval()
        return super().score(scene)


class Collecting(Right):
    def score(self, scene: Scene) -> dict[str, Tensor]:
        scene.model(scene.inputs).sum().backward()
        return super().score(scene)


class Hooking(Right):
    def score(self, scene: Scene) -> dict[str, Tensor]:
        scene.model.register_forward_hook(lambda *_: None)
        return super().score(scene)


# What the contract must say of each, in which of its tests, and what is declared of it.
FOUND: dict[type[Right], tuple[str, str, dict[str, Any]]] = {
    Short: ("every_neuron_has_a_finite_score", "and the neurons are", {}),
    Partial: ("every_neuron_has_a_finite_score", "and the neurons are", {}),
    Infinite: ("every_neuron_has_a_finite_score", "not finite", {}),
    Tracked: ("every_neuron_has_a_finite_score", "carry a gradient", {}),
    Blind: ("it_tells_neurons_apart", "all score the same", {}),
    Counting: ("order_does_not_matter", "in reverse order their scores differ", {}),
    Unseeded: ("one_seed_gives_one_score", "differ", {}),
    Evaluating: ("it_leaves_the_network_alone", "training", {}),
    Collecting: ("it_leaves_the_network_alone", "grad", {}),
    Hooking: ("it_leaves_the_network_alone", "hooks", {}),
    Right: ("a_neuron_that_never_fires_is_not_missed", "never fires", {"sees_activations": True}),
}


def contract(made: Mapping[str, Any]) -> type[ImportanceContract]:
    return type("Made", (_OfToys,), dict(made))


def test_the_right_one_passes_without_pytest() -> None:
    contract({"make": lambda self: Right()}).check()


@pytest.mark.parametrize("broken", FOUND, ids=lambda broken: broken.__name__)
def test_what_is_wrong_is_found(broken: type[Right]) -> None:
    test, message, declared = FOUND[broken]
    made = contract({"make": lambda self: broken(), **declared})()
    with pytest.raises(AssertionError, match=message):
        getattr(made, f"test_{test}")()


def test_needing_noise_is_looked_at() -> None:
    made = contract({"make": lambda self: Right(), "needs_noise": True})()
    with pytest.raises(AssertionError, match="runs without stochastic layers"):
        made.test_it_says_that_it_needs_noise()


def test_the_contract_cannot_be_used_as_it_is() -> None:
    with pytest.raises(TypeError, match="abstract"):
        ImportanceContract()  # type: ignore[abstract]
