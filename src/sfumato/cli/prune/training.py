"""The records of `sfumato prune`, and all the training that it does."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, final

import torch
from torch import Tensor, nn

from sfumato.cli.common.models import check_fit, made_by
from sfumato.cli.common.settings import load_weights, open_data, override
from sfumato.cli.prune.command import PruneOptions
from sfumato.compression import Pruned, Wiring, stochastic
from sfumato.compression.pruning.tuning import wrong
from sfumato.compression.store.plain import check_plain
from sfumato.data.order import stratified_split
from sfumato.errors import DataError
from sfumato.train import (
    BatchLoss,
    MaxEntropyLoss,
    Progress,
    Recipe,
    cross_entropy,
    derive,
    seeded,
    train_classifier,
)
from sfumato.train.identity import tag_of

HELD_OUT = 0.15
"""Of the training records, by which errors on the way are judged."""
Part = Literal["train", "validation", "test"]


@final
@dataclass(frozen=True, eq=False)
class Data:
    """Records to train on, to judge by on the way, and to test on at the end."""

    train: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    names: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one record."""
        return tuple(self.train[0].shape[1:])

    @property
    def classes(self) -> int:
        """Their number."""
        return len(self.names)

    def error(self, model: nn.Module, part: Part) -> float:
        """The share of records of a part that a plain network gets wrong."""
        return wrong(model, *getattr(self, part))

    def described(self, name: str) -> dict[str, Any]:
        """What the report says of the data."""
        sizes = {part: len(getattr(self, part)[1]) for part in ("train", "validation", "test")}
        return {"name": name, **sizes, "shape": list(self.shape), "classes": list(self.names)}


def open_parts(options: PruneOptions) -> Data:
    """Read the data and hold validation records out of the training records."""
    train, test = open_data(options.data, options.limit)
    kept, held_out = stratified_split(train.labels, HELD_OUT)
    if len(kept) == 0 or len(held_out) == 0 or len(test) == 0:
        raise DataError(
            f"{len(train)} training records ({len(held_out)} of them held out to judge by) and "
            f"{len(test)} test records are too few: take more, with a larger --limit"
        )
    return Data(
        (train.inputs[kept], train.labels[kept]),
        (train.inputs[held_out], train.labels[held_out]),
        (test.inputs, test.labels),
        train.classes,
    )


@final
class Trainer:
    """Trains what a run needs trained, each with a checkpoint.

    Args:
        options: of the command.
        data: the records.
        state: the folder of the checkpoints.
    """

    def __init__(self, options: PruneOptions, data: Data, state: Path) -> None:
        self._options, self._data, self._state = options, data, state
        recipe = Recipe(epochs=options.epochs or 10, min_steps=600, batch_size=64, lr=2e-3)
        if options.epochs is not None:
            recipe = replace(recipe, min_steps=0)
        self.recipe = override(recipe, options.recipe, "recipe")
        self.tuning = replace(self.recipe, lr=self.recipe.lr / 4, schedule="constant")
        self.loss: BatchLoss = cross_entropy
        if options.method == "stochastic":
            self.loss = MaxEntropyLoss(options.weight, math.log(options.margin), "neuron")

    def plain(self, factory: Callable[..., Any], progress: Progress) -> nn.Module:
        """The network to prune: with the given weights, or trained now."""
        name, data = self._options.model, self._data
        model = made_by(name, factory, data.shape, data.classes, self._options.seed, "model")
        if self._options.weights is not None:
            load_weights(model, self._options.weights)
        check_fit(name, model, data.train[0], data.classes)
        self._check(model)
        if self._options.weights is not None:
            return model
        self._train(model, self.recipe, "plain", progress)
        return model

    def _check(self, model: nn.Module) -> None:
        """Tell of a network that cannot be pruned before it is trained."""
        check_plain(model, "sfumato prune")
        with seeded(self._options.seed, "check"):
            Wiring(model, self._data.train[0][:2], self._options.keep)
            if self._options.method == "stochastic":
                stochastic(model)

    def fresh(self, factory: Callable[..., Any]) -> nn.Module:
        """The network as it is made, untrained."""
        with seeded(self._options.seed, "fresh"):
            return factory(self._data.shape, self._data.classes)

    def noisy(self, plain: nn.Module, progress: Progress) -> nn.Module:
        """The network with stochastic layers, trained on; or the plain one."""
        if self._options.method == "plain":
            return plain
        with seeded(self._options.seed, "stochastic"):
            model = stochastic(plain)
        self._train(model, self.recipe, "stochastic", progress, self.loss)
        return model

    def finished(self, small: nn.Module, progress: Progress) -> nn.Module:
        """A pruned network after the last fine-tuning, which has no noise."""
        model = copy.deepcopy(small)
        if self._finish is not None:
            self._train(model, self._finish, "finish", progress)
        return model

    @property
    def _finish(self) -> Recipe | None:
        epochs = self._options.finish
        if epochs is None:
            return self.recipe
        return replace(self.recipe, epochs=epochs, min_steps=0) if epochs else None

    def trained_steps(self, tuned: int) -> int:
        """The steps of training that a network has seen with so many steps of fine-tuning.

        Weights that were given count as trained by the recipe.
        """
        recipes = [self.recipe, *([self._finish] if self._finish is not None else [])]
        if self._options.method == "stochastic":
            recipes.append(self.recipe)
        records = len(self._data.train[1])
        epochs = sum(recipe.epochs_for(records) for recipe in recipes)
        return epochs * math.ceil(records / self.recipe.batch_size) + tuned

    def train_for(self, model: nn.Module, steps: int, name: str, progress: Progress) -> None:
        """Train with the cross-entropy for so many steps, or an epoch more."""
        self._train(model, replace(self.recipe, epochs=1, min_steps=steps), name, progress)

    def _train(
        self,
        model: nn.Module,
        recipe: Recipe,
        name: str,
        progress: Progress,
        loss: BatchLoss = cross_entropy,
    ) -> None:
        train_classifier(
            model,
            *self._data.train,
            recipe,
            seed=derive(self._options.seed, name),
            loss=loss,
            checkpoint=self._state / f"{name}-{tag_of(model)}.checkpoint",
            progress=progress,
        )


def from_scratch(
    trainer: Trainer, fresh: nn.Module, pruned: Pruned, seed: int, progress: Progress
) -> tuple[nn.Module, int]:
    """The pruned network's architecture with fresh weights, trained for as many steps.

    A module that does not know how to start anew gets the values of `fresh`, the network as it is
    made, as many of them as it has left.
    """
    model = copy.deepcopy(pruned.model)
    with seeded(seed, "from scratch"), torch.no_grad():
        for name, module in model.named_modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
                continue
            start = dict(fresh.get_submodule(name).named_parameters(recurse=False))
            for key, parameter in module.named_parameters(recurse=False):
                parameter.copy_(start[key][tuple(slice(size) for size in parameter.shape)])
    steps = trainer.trained_steps(sum(row.tuned for row in pruned.rows[: pruned.step + 1]))
    trainer.train_for(model, steps, "scratch", progress)
    return model, steps
