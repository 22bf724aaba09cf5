"""What every adversarial attack must hold: inherit it, make your attack, let pytest collect it."""

from __future__ import annotations

import json
import math
import re
from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sfumato.errors import SfumatoError
from sfumato.testing.checks import expect
from sfumato.testing.contract import Contract

WORDS = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
ROUNDING = 1e-5
CLASSES = 4
RECORDS = 12


class RobustnessAttackContract(Contract):
    """Abstract: the tests of an adversarial attack, one of your own included.

    An attack is an heir of `sfumato.robustness.attacks.Attack`. It is tried on small networks, with
    and without noise. pytest collects such a class if its name starts with `Test`; without pytest,
    `check` runs every test.

    Example:
        >>> from sfumato.robustness.attacks import MarginPGD
        >>> class TestMyAttack(RobustnessAttackContract):
        ...     def make(self, epsilon, draws=1):
        ...         return MarginPGD(epsilon=epsilon, draws=draws, steps=10, restarts=1)
        >>> TestMyAttack.check()
    """

    shapes: ClassVar[tuple[tuple[int, ...], ...]] = ((6,), (1, 8, 8))
    """The records that the attack works on; the slower tests take the last alone."""
    radii: ClassVar[tuple[float, ...]] = (0.02, 0.3)
    """A small radius and one that changes most predictions of a network without defence."""
    unbounded: ClassVar[float] = 1.0
    """A radius that holds every record of the last shape: no accuracy may be left."""
    bites: ClassVar[float] = 0.5
    """The accuracy that the larger of `radii` leaves at most, of 1 without an attack."""
    left: ClassVar[float] = 0.0
    """The accuracy that `unbounded` leaves at most."""
    needs_gradient: ClassVar[bool] = True
    """Whether a model without gradient makes it raise a `SfumatoError`; if not it must run."""

    @abstractmethod
    def make(self, epsilon: float, draws: int = 1) -> Any:
        """The attack with this radius, over so many draws of the model's noise."""

    def test_what_it_is_called(self) -> None:
        """A name in lower case, a budget that JSON can hold, another radius by `at`."""
        attack = self.make(self.radii[0])
        expect(
            bool(WORDS.fullmatch(attack.name)), f"{attack.name!r} is no name: words-with-hyphens"
        )
        json.dumps(attack.budget)
        other = attack.at(self.radii[1])
        expect(
            other.epsilon == self.radii[1] and other.budget == attack.budget,
            "at(epsilon) must change the radius and nothing else",
        )

    def test_it_stays_in_its_ball(self) -> None:
        """Within ε and inside the bounds, finite, of the records' shape, without a gradient."""
        for shape in self.shapes:
            model, x, labels = problem(shape)
            for epsilon in (*self.radii, self.unbounded):
                attack = self.make(epsilon)
                found = attack(model, x, labels)
                inside(found, x, epsilon, attack.norm)

    def test_it_lowers_accuracy(self) -> None:
        """At the larger radius most records are misclassified; without a bound, all."""
        model, x, labels = problem(self.shapes[-1])
        for epsilon, limit in ((self.radii[1], self.bites), (self.unbounded, self.left)):
            found = self.make(epsilon)(model, x, labels)
            share = accuracy(model, found, labels)
            expect(
                share <= limit,
                f"with ε = {epsilon:g} it leaves an accuracy of {share:.2f} of a linear classifier "
                f"without defence, where {limit:g} or less can be reached",
            )

    def test_it_lowers_accuracy_under_noise(self) -> None:
        """With several draws, of a model with noise, on fresh draws."""
        plain, x, labels = problem(self.shapes[-1])
        model = nn.Sequential(plain, Noise(0.02))
        found = self.make(self.unbounded, draws=8)(model, x, labels)
        inside(found, x, self.unbounded, self.make(self.unbounded).norm)
        share = sum(accuracy(model, found, labels) for _ in range(16)) / 16
        expect(
            share <= self.left + 0.1,
            f"under weak noise it leaves an accuracy of {share:.2f} without a bound",
        )

    def test_one_seed_gives_one_outcome(self) -> None:
        """All that it draws comes from torch's global generator."""
        model, x, labels = problem(self.shapes[-1])
        found = []
        for _ in range(2):
            torch.manual_seed(3)
            found.append(self.make(self.radii[1], draws=2)(model, x, labels))
        expect(torch.equal(*found), "two runs under one seed differ")

    def test_it_leaves_everything_as_it_was(self) -> None:
        """Records, labels, parameters, their gradients, modes, and the gradient mode."""
        model, x, labels = problem(self.shapes[-1])
        model.train()
        model[1].weight.requires_grad_(False)
        before = state(model), x.clone(), labels.clone()
        with torch.no_grad():
            self.make(self.radii[1])(model, x, labels)
            expect(not torch.is_grad_enabled(), "it leaves the gradient mode switched")
        after = state(model)
        changed = [name for name, value in before[0].items() if not equal(value, after[name])]
        expect(not changed, f"it changes {', '.join(changed)}")
        expect(
            torch.equal(before[1], x) and torch.equal(before[2], labels),
            "it changes the records or the labels that it was given",
        )

    def test_it_says_what_is_wrong(self) -> None:
        """A `SfumatoError` for bad records, labels, models and radii."""
        model, x, labels = problem(self.shapes[-1])
        attack = self.make(self.radii[0])
        raises("values outside the bounds", lambda: attack(model, x + 1, labels))
        raises("NaN", lambda: attack(model, x * math.nan, labels))
        raises("no records", lambda: attack(model, x[:0], labels[:0]))
        raises("a label that is no class", lambda: attack(model, x, labels + CLASSES))
        raises("a model that gives no logits", lambda: attack(nn.Identity(), x, labels))
        raises("a radius of 0", lambda: self.make(0.0))

    def test_a_model_without_gradient(self) -> None:
        """A first-order attack says that it cannot run; any other one runs."""
        model, x, labels = problem(self.shapes[-1])
        hard = nn.Sequential(model, Hard())
        attack = self.make(self.unbounded)
        if self.needs_gradient:
            raises("a model without gradient", lambda: attack(hard, x, labels))
        else:
            inside(attack(hard, x, labels), x, self.unbounded, attack.norm)


class Noise(nn.Module):
    """Adds Gaussian noise to whatever comes, in every mode."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """`x` + scale · ε."""
        return x + self.scale * torch.randn_like(x)


class Hard(nn.Module):
    """The winning class alone: no gradient comes back."""

    def forward(self, logits: Tensor) -> Tensor:
        """One-hot of the arg-max."""
        return nn.functional.one_hot(logits.argmax(1), logits.shape[1]).to(logits.dtype)


def problem(shape: tuple[int, ...]) -> tuple[Any, Tensor, Tensor]:
    """A fixed linear classifier in evaluation, records in [0.25, 0.75], and what it says of them.

    Every class has the same number of weights of its own, so that no class always wins.
    """
    size = math.prod(shape)
    generator = torch.Generator().manual_seed(1)
    last = nn.Linear(size, CLASSES)
    model = nn.Sequential(nn.Flatten(), last)
    with torch.no_grad():
        weight = torch.randn(CLASSES, size, generator=generator)
        weight -= weight.mean(1, keepdim=True)
        last.weight.copy_(weight / math.sqrt(size))
        last.bias.zero_()
    x = 0.25 + 0.5 * torch.rand(RECORDS, *shape, generator=generator)
    return model.eval(), x, model(x).argmax(1)


def inside(found: Tensor, x: Tensor, epsilon: float, norm: str) -> None:
    """Raise an `AssertionError` unless `found` lies in the ball around `x` and in [0, 1]."""
    expect(found.shape == x.shape, f"it gives {list(found.shape)} for records {list(x.shape)}")
    expect(bool(found.isfinite().all()), "an adversarial example is not finite")
    expect(not found.requires_grad, "adversarial examples carry a gradient")
    delta = (found - x).flatten(1)
    length = float((delta.abs().amax(1) if norm == "linf" else delta.norm(dim=1)).max())
    slack = ROUNDING * max(1.0, epsilon)
    expect(length <= epsilon + slack, f"a perturbation has the length {length:g} > ε = {epsilon:g}")
    low, high = float(found.min()), float(found.max())
    expect(low >= -slack and high <= 1 + slack, f"an example has values in [{low:g}, {high:g}]")


@torch.no_grad()
def accuracy(model: nn.Module, x: Tensor, labels: Tensor) -> float:
    """The share of records whose label the model gives."""
    return float((model(x).argmax(1) == labels).float().mean())


def state(model: nn.Module) -> dict[str, Any]:
    """Everything of a model that an attack could change, copied."""
    found: dict[str, Any] = {}
    for name, value in model.named_parameters():
        found[name] = value.detach().clone()
        found[f"{name}.requires_grad"] = value.requires_grad
        found[f"{name}.grad"] = None if value.grad is None else value.grad.clone()
    for name, part in model.named_modules():
        found[f"{name or 'the model'}.training"] = part.training
    return found


def equal(one: Any, other: Any) -> bool:
    """Whether two parts of a state are the same."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return torch.equal(one, other)
    return one is other if one is None or other is None else one == other


def raises(what: str, run: Any) -> None:
    """Raise an `AssertionError` unless `run` ends in a `SfumatoError` that says something."""
    try:
        run()
    except SfumatoError as error:
        expect(bool(str(error)), f"the error for {what} says nothing")
    else:
        expect(False, f"it runs with {what}")
