"""What is trained: a method with its settings, in one way of training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from experiments.label_noise.points import nats
from experiments.robustness.setup import Setup
from sfumato.errors import SettingError
from sfumato.robustness import Smoothed
from sfumato.robustness.defences import (
    Adversarial,
    ConsistencyLoss,
    Defence,
    adv_bnn,
    plain,
    se_snn,
    vib,
)
from sfumato.train import Recipe, seeded


@dataclass(frozen=True)
class Point:
    """One method.

    Args:
        method: its name in `METHODS`.
        training: "normal", or the name of an adversarial training of the configuration.
        settings: of the method.
        recipe: what is not as in the configuration's recipe.
    """

    method: str
    training: str = "normal"
    settings: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The point as a file name."""
        changed = sorted({**self.settings, **self.recipe}.items())
        parts = [f"{key}={str(value).replace(' ', '-')}" for key, value in changed]
        return f"{self.training}/{','.join([self.method, *parts])}"

    def build(self, setup: Setup, seed: int) -> Defence:
        """Model and loss; networks of one seed start alike where their layers are alike.

        Raises:
            SettingError: an unknown method or way of training, or a setting that it has not.
        """
        if self.method not in METHODS:
            raise SettingError(f"unknown method {self.method!r}: use one of {', '.join(METHODS)}")
        with seeded(seed, "model"):
            model = setup.make()
        try:
            with seeded(seed, "defence"):
                made = METHODS[self.method](model, setup, **self.settings)
        except TypeError as error:
            raise SettingError(f"{self.method} does not take these settings: {error}") from error
        return made if self.training == "normal" else made.against(setup.attack(self.training))

    def fitted(self, setup: Setup) -> Recipe:
        """The recipe of this point."""
        return replace(setup.recipe, **self.recipe)

    def passes(self, setup: Setup) -> int:
        """How often the training runs a record through the network, epochs times draws and steps.

        The searches' passes go backwards to the record, the last one to the weights.
        """
        draws = self.settings.get("draws", 2) if self.method == "consistency" else 1
        epochs = self.fitted(setup).epochs
        if self.training == "normal":
            return epochs * draws
        attack = setup.attack(self.training)
        steps = 1 if attack.attack == "fgsm" else attack.steps
        return round(epochs * (draws + attack.share * steps * attack.draws))


def _plain(model: nn.Module, _: Setup) -> Defence:
    return plain(model)


def _se_snn(model: nn.Module, _: Setup, *, margin: float | str = "log 16", **given: Any) -> Defence:
    return se_snn(model, margin=nats(margin), **given)


def _vib(model: nn.Module, _: Setup, **given: Any) -> Defence:
    return vib(model, **given)


def _bayesian(model: nn.Module, setup: Setup, **given: Any) -> Defence:
    """Adv-BNN without its attack, which `training` brings."""
    made = adv_bnn(model, len(setup.train[1]), Adversarial(0.1), **given)
    assert isinstance(made.loss, Adversarial)
    return replace(made, loss=made.loss.task)


def _smoothing(model: nn.Module, _: Setup, *, sigma: float) -> Defence:
    return Defence("smoothing, as published", Smoothed(model, sigma))


def _consistency(model: nn.Module, _: Setup, *, sigma: float, **given: Any) -> Defence:
    return Defence("smoothing, consistent", Smoothed(model, sigma), ConsistencyLoss(**given))


METHODS: dict[str, Callable[..., Defence]] = {
    "plain": _plain,
    "se-snn": _se_snn,
    "vib": _vib,
    "bnn": _bayesian,
    "smoothing": _smoothing,
    "consistency": _consistency,
}
UNDEFENDED = Point("plain")


def point_of(row: dict[str, Any]) -> Point:
    """The point of a row of the configuration."""
    return Point(**{key: row[key] for key in Point.__dataclass_fields__ if key in row})


def rows_of(config: dict[str, Any]) -> list[tuple[dict[str, Any], Point]]:
    """The rows of the page with their points, in order; points may come more than once."""
    return [pair for group in config["groups"] for pair in rows_in(group)]


def rows_in(group: dict[str, Any]) -> list[tuple[dict[str, Any], Point]]:
    """The rows of one group, each with what the group's rows share."""
    return [
        ({"group": group["title"], **row}, point_of({**group.get("shared", {}), **row}))
        for row in group["rows"]
    ]


def in_order(config: dict[str, Any]) -> list[tuple[int, list[Point]]]:
    """Seed after seed, the points to fill; groups that may come `later` after all seeds."""
    stages: list[tuple[int, list[Point]]] = []
    for later in (False, True):
        groups = [group for group in config["groups"] if group.get("later", False) is later]
        points = {point.name: point for group in groups for _, point in rows_in(group)}
        stages += [(seed, list(points.values())) for seed in config["seeds"] if points]
    return stages
