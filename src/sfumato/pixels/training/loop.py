"""The loop of a joint training: blocks of seeded steps with a checkpoint after each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final

import torch
from torch import Tensor, nn, optim

from sfumato.errors import DataError
from sfumato.nn.mode import sampling
from sfumato.pixels.predictors import check_predictor
from sfumato.pixels.scenes import Scenes
from sfumato.pixels.selectors import Selector
from sfumato.pixels.training.augment import mirrored
from sfumato.pixels.training.buying import Bought
from sfumato.pixels.training.recipe import PixelRecipe
from sfumato.train import Progress, generator, seeded
from sfumato.train.checkpoint import History, load_checkpoint, save_checkpoint
from sfumato.train.identity import tag_of

Buying = Callable[[Scenes, bool], tuple[Bought, Tensor | None]]
"""Buys pixels of a batch (at random while warming up), and says what they cost, if they do."""


@final
@dataclass(frozen=True, eq=False)
class Run:
    """One training: what is trained, on what, and how.

    Args:
        selector: trained in place.
        predictor: trained in place.
        scenes: to learn from.
        recipe: how long and how fast.
        seed: of this training.
        buying: buys pixels of a batch.
    """

    selector: Selector
    predictor: nn.Module
    scenes: Scenes
    recipe: PixelRecipe
    seed: int
    buying: Buying

    def all(self, purpose: object, checkpoint: Path | None, progress: Progress) -> History:
        """Run all steps that the checkpoint does not hold, and return the whole history."""
        check_fit(self.selector, self.predictor, self.scenes)
        both = nn.ModuleDict({"selector": self.selector, "predictor": self.predictor})
        optimizer = self._optimizer()
        tag = "" if checkpoint is None else self._tag(purpose)
        done, history = load_checkpoint(checkpoint, both, optimizer, tag)
        both.train()
        while done < self.recipe.steps:
            last = min(done + self.recipe.checkpoint_every, self.recipe.steps)
            with seeded(self.seed, "steps", done):
                noted = self._block(done, last, optimizer)
            done = last
            history.append({"step": done, **noted})
            if checkpoint is not None:
                save_checkpoint(checkpoint, done, both, optimizer, tag, history)
            progress({"epoch": done, "epochs": self.recipe.steps, **noted})
        both.eval()
        return history

    def _block(self, first: int, last: int, optimizer: optim.Optimizer) -> dict[str, Any]:
        losses, pixels = [], []
        for step in range(first, last):
            for group in optimizer.param_groups:
                group["lr"] = group["first_lr"] * self.recipe.fall(step)
            self._set_temperature(step)
            with sampling(self.selector, self._mode(step)):
                loss, bought = self._loss(self._batch(step), self.recipe.warm(step))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
            pixels.append(bought.paid.flatten(1).sum(1).cpu())
        mean, many = sum(losses) / len(losses), torch.cat(pixels)
        if not abs(mean) < float("inf"):
            raise DataError(f"the loss became {mean} before step {last}: lower the learning rate")
        least, most = int(many.min()), int(many.max())
        return {"loss": mean, "pixels": [least, float(many.double().mean()), most]}

    def _loss(self, batch: Scenes, warm: bool) -> tuple[Tensor, Bought]:
        bought, cost = self.buying(batch, warm)
        prediction = self.predictor(batch.images, bought.values, bought.shown)
        counted = batch.valid & bought.left
        each = self.scenes.task.loss(prediction, batch.targets)
        # Where nothing is known the target may be anything: it must not even be multiplied by 0.
        loss = torch.where(counted, each, 0.0).sum() / counted.sum().clamp_min(1)
        return (loss if cost is None else loss + cost), bought

    def _set_temperature(self, step: int) -> None:
        if self.selector.learned and hasattr(self.selector, "temperature"):
            now = self.recipe.temperature_at(step, len(self.scenes))
            vars(self.selector)["temperature"] = now

    def _mode(self, step: int) -> Literal["sample", "mean"]:
        return self.recipe.noise.mode(step + 1) if self.selector.learned else "sample"

    def _batch(self, step: int) -> Scenes:
        """The pictures of a step: every picture once before any comes again."""
        size = min(self.recipe.batch_size, len(self.scenes))
        places = torch.arange(step * size, (step + 1) * size)
        index = torch.empty(size, dtype=torch.int64)
        for turn in places.div(len(self.scenes), rounding_mode="floor").unique().tolist():
            order = torch.randperm(len(self.scenes), generator=generator(self.seed, "order", turn))
            here = places.div(len(self.scenes), rounding_mode="floor") == turn
            index[here] = order[places[here] % len(self.scenes)]
        batch = self.scenes.subset(index)
        return mirrored(batch) if self.recipe.mirror else batch

    def _optimizer(self) -> optim.Optimizer:
        recipe, known = self.recipe, {id(p) for p in self.predictor.parameters()}
        own = [p for p in self.selector.parameters() if id(p) not in known and p.requires_grad]
        groups: list[dict[str, Any]] = [
            {"params": [p for p in self.predictor.parameters() if p.requires_grad],
             "first_lr": recipe.lr, "weight_decay": recipe.weight_decay},
            {"params": own if self.selector.learned else [], "first_lr": recipe.selector_lr},
        ]  # fmt: skip
        return optim.Adam([group for group in groups if group["params"]], lr=recipe.lr)

    def _tag(self, purpose: object) -> str:
        scenes = self.scenes
        data = (scenes.images, scenes.targets, scenes.valid, scenes.task.settings())
        names = type(self.selector).__qualname__, self.selector.config(), str(self.predictor)
        return tag_of(self.recipe, self.seed, purpose, *data, *names)


def check_fit(selector: Selector, predictor: nn.Module, scenes: Scenes) -> None:
    """Raise `DataError` or `SettingError` unless selector, predictor and scenes fit together."""
    if (selector.channels, selector.size) != (scenes.channels, scenes.size):
        raise DataError(
            f"the selector is for {selector.channels} channels of {selector.size} pixels, the "
            f"pictures of {scenes.name} have {scenes.channels} of {scenes.size}"
        )
    if selector.values not in (0, scenes.task.channels):
        raise DataError(
            f"the selector looks at {selector.values} channels of labels, the task has "
            f"{scenes.task.channels}: give the selector values={scenes.task.channels}, or 0"
        )
    check_predictor(predictor, scenes.images[:1], scenes.task)
