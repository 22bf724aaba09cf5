"""The loop of a training: blocks of seeded steps with a checkpoint after each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from torch import nn, optim

from sfumato.errors import DataError, SettingError
from sfumato.pixels.predictors import check_predictor
from sfumato.pixels.scenes import Scenes
from sfumato.pixels.selectors import Selector
from sfumato.pixels.training.augment import mirrored
from sfumato.pixels.training.course import Course
from sfumato.pixels.training.recipe import PixelRecipe
from sfumato.train import Progress, generator, seeded
from sfumato.train.checkpoint import History, load_checkpoint, save_checkpoint
from sfumato.train.identity import tag_of


@final
@dataclass(frozen=True, eq=False)
class Run:
    """One training: what is trained, on what, and how.

    Args:
        selector: trained in place.
        predictor: trained in place.
        scenes: to learn from.
        recipe: batches, checkpoints, and what the course goes by.
        seed: of this training.
        course: stages and losses.
    """

    selector: Selector
    predictor: nn.Module
    scenes: Scenes
    recipe: PixelRecipe
    seed: int
    course: Course

    def all(self, purpose: object, checkpoint: Path | None, progress: Progress) -> History:
        """Run all steps that the checkpoint does not hold, and return the whole history."""
        check_fit(self.selector, self.predictor, self.scenes)
        both = nn.ModuleDict({"selector": self.selector, "predictor": self.predictor})
        optimizer = self._optimizer()
        tag = "" if checkpoint is None else self._tag(purpose)
        done, history = load_checkpoint(checkpoint, both, optimizer, tag)
        self.course.reopen(history)
        both.train()
        while done < self.course.steps:
            end, stage = next((at, name) for at, name in self.course.ends.items() if at > done)
            last = min(done + self.recipe.checkpoint_every, end)
            with seeded(self.seed, "steps", done):
                noted = self._block(done, last, optimizer)
                if last == end:
                    noted |= self.course.close(stage)
            done = last
            history.append({"step": done, "stage": stage, **noted})
            if checkpoint is not None:
                save_checkpoint(checkpoint, done, both, optimizer, tag, history)
            progress({"epoch": done, "epochs": self.course.steps, **noted})
        both.eval()
        return history

    def _block(self, first: int, last: int, optimizer: optim.Optimizer) -> dict[str, Any]:
        losses, pixels = [], []
        for step in range(first, last):
            rates = self.course.rates(step)
            for group in optimizer.param_groups:
                group["lr"] = rates[group["whose"]]
            loss, paid = self.course.loss(self._batch(step), step)
            if loss.requires_grad:  # a predictor without weights has nothing to learn
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            losses.append(float(loss.detach()))
            pixels.append(paid)
        mean, many = sum(losses) / len(losses), torch.cat(pixels)
        if not abs(mean) < float("inf"):
            raise DataError(f"the loss became {mean} before step {last}: lower the learning rate")
        least, most = int(many.min()), int(many.max())
        return {"loss": mean, "pixels": [least, float(many.double().mean()), most]}

    def _batch(self, step: int) -> Scenes:
        """The pictures of a step: every picture once before any comes again."""
        scenes = self.course.pictures(step)
        size = min(self.recipe.batch_size, len(scenes))
        places = torch.arange(step * size, (step + 1) * size)
        turns = places.div(len(scenes), rounding_mode="floor")
        index = torch.empty(size, dtype=torch.int64)
        for turn in turns.unique().tolist():
            order = torch.randperm(len(scenes), generator=generator(self.seed, "order", turn))
            index[turns == turn] = order[places[turns == turn] % len(scenes)]
        batch = scenes.subset(index)
        return mirrored(batch) if self.recipe.mirror else batch

    def _optimizer(self) -> optim.Optimizer:
        known = {id(p) for p in self.predictor.parameters()}
        own = [p for p in self.selector.parameters() if id(p) not in known and p.requires_grad]
        groups: list[dict[str, Any]] = [
            {"params": [p for p in self.predictor.parameters() if p.requires_grad],
             "whose": 0, "weight_decay": self.recipe.weight_decay},
            {"params": own if self.selector.learned else [], "whose": 1},
        ]  # fmt: skip
        groups = [group for group in groups if group["params"]]
        if not groups:
            raise SettingError(
                "there is nothing to train: neither the predictor nor the selector has weights "
                "that can learn; score them with evaluate"
            )
        return optim.Adam(groups, lr=self.recipe.lr)

    def _tag(self, purpose: object) -> str:
        scenes = self.scenes
        data = (scenes.images, scenes.targets, scenes.valid, scenes.task.settings())
        config = self.selector.config()
        settings = {name: config[name] for name in config if name not in self.course.moves}
        names = type(self.selector).__qualname__, settings, str(self.predictor)
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
