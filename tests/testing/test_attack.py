"""The contract of an attack lets a right attack pass and says what is wrong with others."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sfumato.errors import SettingError
from sfumato.privacy.attacks import Attack, Outcome, Scene, toy_scene
from sfumato.privacy.knowledge import class_means
from sfumato.testing import AttackContract
from sfumato.train.seed import seeded


class Right(Attack):
    """Shrinks the release towards the class mean; it needs a model for nothing."""

    @property
    def name(self) -> str:
        return "right-one"

    def run(self, scene: Scene) -> Outcome:
        if scene.model is None:
            raise SettingError(
                "this attack needs a model, and the scene has none: give Scene(model=)"
            )
        with torch.no_grad(), seeded(scene.seed, self.name):
            law = scene.mechanism.distribution(scene.auxiliary.inputs, scene.auxiliary.labels)
            told = float(law.mean.std() > 0.1)  # releases that hold nothing have one location
            means = class_means(scene.auxiliary.inputs, scene.auxiliary.labels, scene.num_classes)
            centre = means[scene.target.labels]
            share = told / (1 + float(law.variance.mean()) / scene.releases)
            guess = centre + share * (scene.seen - centre) + 1e-6 * torch.randn_like(scene.seen)
            return self.report(scene, guess)

    def report(self, scene: Scene, guess: Tensor) -> Outcome:
        return Outcome(reconstructions=guess)


class Counts(Right):
    """Reports a figure of its own: how many classes the model reads off its reconstructions."""

    def report(self, scene: Scene, guess: Tensor) -> Outcome:
        assert scene.model is not None
        hits = (scene.model(guess).argmax(1) == scene.target.labels).float().mean()
        return Outcome({"hits": float(hits)}, "hits", chance=float(hits))


class Weak(Right):
    def report(self, scene: Scene, guess: Tensor) -> Outcome:
        return Outcome(reconstructions=0.5 * guess)


class Flattering(Right):
    def report(self, scene: Scene, guess: Tensor) -> Outcome:
        return Outcome({"found": 1.0}, "found", chance=0.5, reconstructions=guess)


class Disturbed(Right):
    """Cannot cope with averages."""

    def run(self, scene: Scene) -> Outcome:
        return super().run(replace(scene, seen=scene.seen * (1 if scene.releases == 1 else 3)))


class Unseeded(Right):
    def report(self, scene: Scene, guess: Tensor) -> Outcome:
        with torch.random.fork_rng():
            torch.seed()
            return Outcome(reconstructions=guess + 0.01 * torch.randn_like(guess))


class Moving(Right):
    def run(self, scene: Scene) -> Outcome:
        torch.rand(1)
        return super().run(scene)


class Peeking(Right):
    def report(self, scene: Scene, guess: Tensor) -> Outcome:
        return Outcome(reconstructions=(guess + scene.target.inputs) / 2)


class PeekingFigure(Right):
    def report(self, scene: Scene, guess: Tensor) -> Outcome:
        found = float((guess - scene.target.inputs).square().mean())
        return Outcome({"found": found}, "found", chance=found)


class Freezing(Right):
    def run(self, scene: Scene) -> Outcome:
        assert isinstance(scene.mechanism, nn.Module)
        scene.mechanism.requires_grad_(False)
        return super().run(scene)


class Training(Right):
    def run(self, scene: Scene) -> Outcome:
        assert scene.model is not None
        with torch.no_grad():
            next(scene.model.parameters()).mul_(0.99)
        return super().run(scene)


class Evaluating(Right):
    def run(self, scene: Scene) -> Outcome:
        assert scene.model is not None
        scene.model.eval()
        return super().run(scene)


class Collecting(Right):
    def run(self, scene: Scene) -> Outcome:
        assert isinstance(scene.mechanism, nn.Module)
        x = scene.auxiliary.inputs[:2]
        law = scene.mechanism.distribution(x, scene.auxiliary.labels[:2])
        law.mean.sum().backward()
        return super().run(scene)


class Overwriting(Right):
    def report(self, scene: Scene, guess: Tensor) -> Outcome:
        scene.seen.zero_()
        return Outcome(reconstructions=guess)


class GradientMode(Right):
    def run(self, scene: Scene) -> Outcome:
        torch.set_grad_enabled(False)
        return super().run(scene)


class Silent(Right):
    """Does without the model and does not say so."""

    def run(self, scene: Scene) -> Outcome:
        return super().run(replace(scene, model=nn.Identity()))


class Unhelpful(Right):
    def run(self, scene: Scene) -> Outcome:
        if scene.model is None:
            raise SettingError("no")
        return super().run(scene)


class Shouting(Right):
    @property
    def name(self) -> str:
        return "Right One"


class Infinite(Right):
    def report(self, scene: Scene, guess: Tensor) -> Outcome:
        return Outcome({"loss": math.inf}, reconstructions=guess)


class Nothing(Right):
    def report(self, scene: Scene, guess: Tensor) -> Outcome:
        return Outcome({"some": 1.0})


class WrongName(Right):
    def report(self, scene: Scene, guess: Tensor) -> Outcome:
        return Outcome({"some": 1.0}, "another")


class Flat(Right):
    def report(self, scene: Scene, guess: Tensor) -> Outcome:
        return Outcome(reconstructions=guess.unsqueeze(1))


class Tracked(Right):
    def report(self, scene: Scene, guess: Tensor) -> Outcome:
        return Outcome(reconstructions=guess.requires_grad_())


class Broken(Right):
    def report(self, scene: Scene, guess: Tensor) -> Outcome:
        return Outcome(reconstructions=guess / 0)


# What the contract must say of each broken attack, and in which of its tests.
FOUND: dict[type[Right], tuple[str, str]] = {
    Weak: ("it_succeeds_where_it_must", "under noise of 0.001 on [6] it scores"),
    Flattering: ("it_finds_nothing_where_nothing_is", "scores 1 where chance has 0.5"),
    Disturbed: ("a_second_release_does_not_weaken_it", "after two"),
    Unseeded: ("one_seed_gives_one_outcome", "two runs under one seed differ"),
    Moving: ("one_seed_gives_one_outcome", "moves the caller's random state"),
    Peeking: ("it_does_not_look_at_the_attacked_records", "depends on the attacked records"),
    PeekingFigure: ("it_does_not_look_at_the_attacked_records", "depends on the attacked records"),
    Freezing: ("it_leaves_what_it_attacks_alone", "mechanism's layer.weight.requires_grad"),
    Training: ("it_leaves_what_it_attacks_alone", "changes the model's 1.weight"),
    Evaluating: ("it_leaves_what_it_attacks_alone", "the model's module.training"),
    Collecting: ("it_leaves_what_it_attacks_alone", "mechanism's layer.weight.grad"),
    Overwriting: ("it_leaves_what_it_attacks_alone", "changes scene.seen"),
    GradientMode: ("it_leaves_what_it_attacks_alone", "gradient mode"),
    Silent: ("it_says_what_is_missing", "runs without 'model'"),
    Unhelpful: ("it_says_what_is_missing", "does not name 'model'"),
    Shouting: ("the_outcome_is_complete", "'Right One' is no name"),
    Infinite: ("the_outcome_is_complete", "not finite: ['loss']"),
    Nothing: ("the_outcome_is_complete", "no headline and no reconstructions"),
    WrongName: ("the_outcome_is_complete", "no figure 'another'"),
    Flat: ("the_outcome_is_complete", "reconstructions are [100, 1, 6], the records [100, 6]"),
    Tracked: ("the_outcome_is_complete", "carry a gradient"),
    Broken: ("the_outcome_is_complete", "not finite"),
}


class _OfToys(AttackContract):
    needs = ("model",)

    def scene(self, shape: tuple[int, ...], sigma: float, releases: int = 1) -> Scene:
        return toy_scene(shape, sigma, releases, auxiliary=200)


def contract(attack: Callable[[], Attack], **declared: Any) -> type[AttackContract]:
    """The contract of an attack, without pytest."""
    return type("Made", (_OfToys,), {"make": lambda self: attack(), **declared})


class TestRight(_OfToys):
    def make(self) -> Attack:
        return Right()


def test_the_right_one_passes_without_pytest() -> None:
    contract(Right).check()


@pytest.mark.parametrize("broken", FOUND, ids=lambda broken: broken.__name__)
def test_what_is_wrong_is_found(broken: type[Right]) -> None:
    test, message = FOUND[broken]
    made = contract(broken)()
    made.setup_method()
    try:
        with pytest.raises(AssertionError, match=re.escape(message)):
            getattr(made, f"test_{test}")()
    finally:
        made.teardown_method()
        torch.set_grad_enabled(True)


def test_what_an_attack_declares() -> None:
    # It sees no harm in either, where the attack says that it does not apply.
    averages, peeks = contract(Disturbed, averages=False)(), contract(PeekingFigure, blind=False)()
    averages.test_a_second_release_does_not_weaken_it()
    peeks.test_it_does_not_look_at_the_attacked_records()
    contract(Silent, needs=())().test_it_says_what_is_missing()
    contract(Weak, success=0.3)().test_it_succeeds_where_it_must()


def test_a_figure_may_stand_for_the_reconstructions() -> None:
    made = contract(Counts, success=0.5)()
    made.test_the_outcome_is_complete()
    made.test_it_succeeds_where_it_must()
    made.test_it_does_not_look_at_the_attacked_records()


def test_the_contract_cannot_be_used_as_it_is() -> None:
    with pytest.raises(TypeError, match="abstract"):
        AttackContract()  # type: ignore[abstract]
