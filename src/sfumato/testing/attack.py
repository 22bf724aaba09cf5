"""What every attack must hold: inherit it, make your attack, and let pytest collect it."""

from __future__ import annotations

import math
import re
from abc import abstractmethod
from dataclasses import fields, is_dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sfumato.errors import SfumatoError
from sfumato.objectives.within import class_means
from sfumato.testing.checks import expect
from sfumato.testing.contract import Contract

WORDS = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class AttackContract(Contract):
    """Abstract: the tests of an attack. A class that inherits them makes the attack and its scenes.

    pytest collects such a class if its name starts with `Test`; without pytest, `check` runs every
    test. An attack has a *score*: the headline of its outcome or, where it has none, the leak of
    its reconstructions, 1 - (squared error) / (squared error of the class mean).

    Example:
        >>> from sfumato.privacy.attacks import LinearAttack, toy_scene
        >>> class TestMyAttack(AttackContract):
        ...     def make(self):
        ...         return LinearAttack()
        ...
        ...     def scene(self, shape, sigma, releases=1):
        ...         return toy_scene(shape, sigma, releases)
        >>> TestMyAttack.check()
    """

    shapes: ClassVar[tuple[tuple[int, ...], ...]] = ((6,), (1, 8, 8))
    """The records that the attack works on; the slower tests take the first alone."""
    quiet: ClassVar[float] = 1e-3
    """A noise so weak that the attack must succeed."""
    loud: ClassVar[float] = 1.0
    """A noise that leaves something to find and something to gain from a second release."""
    success: ClassVar[float] = 0.9
    """The score that it reaches at least under `quiet` noise."""
    slack: ClassVar[float] = 0.1
    """How far from chance the score may lie where there is nothing to find."""
    tolerance: ClassVar[float] = 0.02
    """By how much the score may fall after a second release."""
    averages: ClassVar[bool] = True
    """Whether a second release must not weaken it."""
    blind: ClassVar[bool] = True
    """Whether what it reports does not depend on `scene.target.inputs` (its reconstructions; where
    it makes none, its figures). Not so where the figures compare with the attacked records."""
    needs: ClassVar[tuple[str, ...]] = ()
    """Optional parts of the scene ("model") without which it must raise a `SfumatoError`."""

    @abstractmethod
    def make(self) -> Any:
        """The attack, with a small budget."""

    @abstractmethod
    def scene(self, shape: tuple[int, ...], sigma: float, releases: int = 1) -> Any:
        """A small scene of records of `shape` under noise of scale `sigma`, always the same.

        With `sigma` = infinity the releases hold nothing that the attack looks for.
        `sfumato.privacy.attacks.toy_scene` makes one.
        """

    def score(self, scene: Any, outcome: Any) -> float:
        """How well the attack did: the headline, or the leak of its reconstructions."""
        if outcome.headline:
            return outcome.figures[outcome.headline]
        return leak_of(scene, outcome.reconstructions)

    def test_the_outcome_is_complete(self) -> None:
        """A name in lower case, finite figures, a headline or reconstructions of their shape."""
        attack = self.make()
        expect(
            bool(WORDS.fullmatch(attack.name)), f"{attack.name!r} is no name: words-with-hyphens"
        )
        for shape in self.shapes:
            scene = self.scene(shape, self.loud)
            outcome = attack.run(scene)
            bad = [name for name, value in outcome.figures.items() if not math.isfinite(value)]
            expect(not bad, f"these figures are not finite: {bad}")
            self._complete(scene, outcome)

    def test_it_succeeds_where_it_must(self) -> None:
        """Under vanishing noise the score is `success` or more."""
        for shape in self.shapes:
            scene = self.scene(shape, self.quiet)
            score = self.score(scene, self.make().run(scene))
            expect(
                score >= self.success,
                f"under noise of {self.quiet:g} on {list(shape)} it scores {score:.3g}, where an "
                f"attack that works has {self.success:g} or more",
            )

    def test_it_finds_nothing_where_nothing_is(self) -> None:
        """Where the releases hold nothing, the score is that of chance, to within `slack`."""
        for shape in self.shapes:
            scene = self.scene(shape, math.inf)
            outcome = self.make().run(scene)
            score, chance = self.score(scene, outcome), outcome.chance
            expect(
                abs(score - chance) <= self.slack,
                f"on {list(shape)}, of which the releases hold nothing, it scores {score:.3g} "
                f"where chance has {chance:.3g}",
            )

    def test_a_second_release_does_not_weaken_it(self) -> None:
        """The score after two releases is that after one or more, to within `tolerance`."""
        if not self.averages:
            return
        scenes = [self.scene(self.shapes[0], self.loud, k) for k in (1, 2)]
        one, two = (self.score(scene, self.make().run(scene)) for scene in scenes)
        expect(
            two >= one - self.tolerance,
            f"it scores {one:.3g} after one release and {two:.3g} after two",
        )

    def test_one_seed_gives_one_outcome(self) -> None:
        """Whatever the state of torch's generator, and it is left as it was."""
        scene = self.scene(self.shapes[0], self.loud)
        outcomes = []
        for ambient in (1, 2):
            torch.manual_seed(ambient)
            before = torch.get_rng_state()
            outcomes.append(self.make().run(scene))
            expect(
                torch.equal(before, torch.get_rng_state()),
                "it moves the caller's random state: draw inside sfumato.train.seed.seeded",
            )
        _equal("two runs under one seed differ", *outcomes)

    def test_it_leaves_what_it_attacks_alone(self) -> None:
        """Parameters, buffers, modes, gradients and records are what they were."""
        scene = self.scene(self.shapes[0], self.loud)
        for module in _modules(scene):
            module.train()  # so that an `eval()` that is not taken back shows
        before, grad = _state(scene), torch.is_grad_enabled()
        self.make().run(scene)
        after = _state(scene)
        changed = [name for name, value in before.items() if not _same(value, after.get(name))]
        new = [name for name in after if name not in before]
        expect(not changed + new, f"it changes {', '.join(changed + new)}")
        expect(torch.is_grad_enabled() == grad, "it leaves the gradient mode switched")

    def test_it_does_not_look_at_the_attacked_records(self) -> None:
        """With other records behind the same releases it finds the same."""
        if not self.blind:
            return
        scene = self.scene(self.shapes[0], self.loud)
        other = torch.randn_like(scene.target.inputs)
        swapped = replace(scene, target=replace(scene.target, inputs=other))
        outcomes = [self.make().run(each) for each in (scene, swapped)]
        found = "what it finds depends on the attacked records themselves"
        if outcomes[0].reconstructions is None:
            _equal(found, *outcomes)
        else:
            expect(torch.equal(outcomes[0].reconstructions, outcomes[1].reconstructions), found)

    def test_it_says_what_is_missing(self) -> None:
        """Without a part that it needs, a `SfumatoError` that names the part."""
        for part in self.needs:
            scene = replace(self.scene(self.shapes[0], self.loud), **{part: None})
            try:
                self.make().run(scene)
            except SfumatoError as error:
                expect(part in str(error), f"the error does not name {part!r}: {error}")
            else:
                expect(False, f"it runs without {part!r}, which it is said to need")

    def _complete(self, scene: Any, outcome: Any) -> None:
        guess = outcome.reconstructions
        expect(bool(outcome.headline) or guess is not None, "no headline and no reconstructions")
        if outcome.headline:
            expect(outcome.headline in outcome.figures, f"no figure {outcome.headline!r}")
        if guess is not None:
            shape, wanted = list(guess.shape), list(scene.target.inputs.shape)
            expect(shape == wanted, f"reconstructions are {shape}, the records {wanted}")
            expect(bool(guess.isfinite().all()), "a reconstruction is not finite")
            expect(not guess.requires_grad, "reconstructions carry a gradient")


def leak_of(scene: Any, guess: Tensor) -> float:
    """1 - (squared error) / (squared error of the auxiliary records' class mean)."""
    inputs, labels = scene.auxiliary.inputs, scene.auxiliary.labels
    means = class_means(inputs, labels, scene.num_classes)
    record = scene.target.inputs
    label_only = (means[scene.target.labels] - record).square().sum()
    return float(1 - (guess - record).square().sum() / label_only)


def _equal(what: str, first: Any, second: Any) -> None:
    same = first.figures == second.figures and first.headline == second.headline
    guesses = first.reconstructions, second.reconstructions
    same = same and (guesses[0] is None) == (guesses[1] is None)
    if same and guesses[0] is not None:
        same = torch.equal(*guesses)
    expect(same, f"{what}: {first.figures} and {second.figures}")


def _modules(scene: Any) -> list[nn.Module]:
    parts = (scene.mechanism, scene.model)
    return [part for part in parts if isinstance(part, nn.Module)]


def _state(scene: Any) -> dict[str, Any]:
    """Everything that an attack could change by mistake, by name, copied."""
    found: dict[str, Any] = {}
    for number, module in enumerate(_modules(scene)):
        where = ("the mechanism's", "the model's")[number if len(_modules(scene)) > 1 else 0]
        for name, value in module.named_parameters():
            found[f"{where} {name}.requires_grad"] = value.requires_grad
            found[f"{where} {name}.grad"] = None if value.grad is None else value.grad.clone()
        for name, value in (*module.named_parameters(), *module.named_buffers()):
            found[f"{where} {name}"] = value.detach().clone()
        for name, part in module.named_modules():
            found[f"{where} {name or 'module'}.training"] = part.training
    for part in ("auxiliary", "target"):
        for name in ("inputs", "labels"):
            found[f"{part}.{name}"] = getattr(getattr(scene, part), name).clone()
    if is_dataclass(scene):
        extra = {f.name: getattr(scene, f.name) for f in fields(scene)}
        found |= {f"scene.{k}": v.clone() for k, v in extra.items() if isinstance(v, Tensor)}
    return found


def _same(first: Any, second: Any) -> bool:
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return torch.equal(first, second)
    return first is second if first is None or second is None else first == second
