"""A predictor trained together with its selector."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import torch
from torch import nn

from sfumato.errors import SettingError
from sfumato.pixels.scenes import Scenes
from sfumato.pixels.selectors import ExpectedError, Random, Selector, Stratified
from sfumato.pixels.training.budget import Budget, check_budget, draw_budget, split_rounds
from sfumato.pixels.training.buying import Bought, buy
from sfumato.pixels.training.course import Course
from sfumato.pixels.training.errors import Errors
from sfumato.pixels.training.gains import Gains
from sfumato.pixels.training.loop import Run
from sfumato.pixels.training.penalty import priced
from sfumato.pixels.training.recipe import PixelRecipe
from sfumato.pixels.training.together import Buying, Together
from sfumato.train import Progress, silent
from sfumato.train.checkpoint import History


@final
@dataclass(frozen=True, eq=False)
class Trained:
    """A selector and the predictor that was trained for it.

    Args:
        selector: trained in place.
        predictor: trained in place.
        history: for each block of steps the mean loss and the pixels per picture that it bought
            (least, mean, most).
        seconds: that the training took in this process.
    """

    selector: Selector
    predictor: nn.Module
    history: History = field(default_factory=list)
    seconds: float = 0.0


def train(
    selector: Selector,
    predictor: nn.Module,
    scenes: Scenes,
    k: Budget | None = None,
    *,
    weight: float | None = None,
    recipe: PixelRecipe | None = None,
    rounds: int | Sequence[float] = 1,
    seed: int = 0,
    checkpoint: Path | None = None,
    progress: Progress = silent,
) -> Trained:
    """Train a predictor, and its selector if that can learn, both in place.

    The loss is the task's, averaged over the pixels that are valid and were not bought: scoring
    never counts a bought pixel, so learning does not either. Pixels of rare classes weigh more
    (`PixelRecipe.balance`).

    A `Stratified` selector learns from pairs of draws once the predictor has learned (`Gains`):
    in each cell, which of two pixels was the better buy. An `ExpectedError` learns beside the
    predictor where that one errs (`Errors`). To other learned selectors, and to it
    with `PixelRecipe.learning` "gradient", the gradient passes through the mask, straight through,
    as if M ⊙ S were smooth in M (spec 5, page 8). That a pixel would be right itself if it were
    bought is no reason to buy it, yet it is a part of that gradient. With `PixelRecipe.judges`
    below 1, random pixels are judges in each step of a learned selector: the loss is theirs alone,
    and no gradient passes through the mask where they are.

    With `weight` instead of `k` it is the source's objective, error² + λ‖M‖₁ (spec 5, page 9), per
    pixel: the mean error plus λ times the mean of M. It holds no budget: what it buys differs
    between pictures and is noted in the history.

    Every block of steps is seeded by `seed` and its number, so that a run that was interrupted
    ends exactly as one that was not.

    Args:
        selector: chooses the pixels; one that does not learn is used as it is.
        predictor: any module with the signature that `check_predictor` describes.
        scenes: to learn from.
        k: pixels per picture, or a pair (least, most) from which every step draws.
        weight: λ, the price of a pixel, for selectors with a `relaxed` mask.
        recipe: how long and how fast.
        rounds: in how many rounds, or in rounds of which shares, the pixels are bought; in each
            the selector sees the labels of those before.
        seed: of this training.
        checkpoint: a file that holds the state after each block; training resumes from it.
        progress: called after each block with epoch (the steps done), epochs (all steps), loss
            and pixels.

    Returns:
        Both, and how the training went.

    Raises:
        DataError: the loss became NaN, or the scenes do not fit the selector.
        SettingError: a budget or a predictor that does not fit the scenes.
        StoreError: the checkpoint is damaged or of another run.

    Example:
        >>> import torch
        >>> from sfumato.pixels.predictors import UNet
        >>> from sfumato.pixels.selectors import Stratified
        >>> from sfumato.pixels.scenes import inpainting
        >>> scenes = inpainting(torch.rand(8, 1, 8, 8))
        >>> predictor = UNet(1, scenes.task, width=4, depth=1)
        >>> recipe = PixelRecipe(steps=6, batch_size=4)
        >>> trained = train(Stratified(1, (8, 8)), predictor, scenes, k=4, recipe=recipe)
        >>> trained.history[-1]["pixels"]
        [4, 4.0, 4]
    """
    recipe = recipe or PixelRecipe()
    if (k is None) == (weight is None):
        raise SettingError("give either k, the pixels per picture, or weight, the price of one")
    begun = time.perf_counter()
    course = _course(selector, predictor, scenes, k, weight, recipe, rounds)
    run = Run(selector, predictor, scenes, recipe, seed, course)
    history = run.all((k, weight, rounds), checkpoint, progress)
    return Trained(selector, predictor, history, time.perf_counter() - begun)


def _course(
    selector: Selector,
    predictor: nn.Module,
    scenes: Scenes,
    k: Budget | None,
    weight: float | None,
    recipe: PixelRecipe,
    rounds: int | Sequence[float],
) -> Course:
    if k is None:
        if rounds != 1:
            raise SettingError(
                "with weight, the price of a pixel, all is bought at once: no rounds"
            )
        buying = priced(selector, weight or 0.0)
        return Together(selector, predictor, scenes, recipe, buying)
    budget = check_budget(k, scenes.pixels)
    split_rounds(budget[0], rounds)
    if isinstance(selector, Stratified) and recipe.learning == "gains":
        return Gains(selector, predictor, scenes, recipe, budget, rounds)
    if isinstance(selector, ExpectedError):
        return Errors(selector, predictor, scenes, recipe, budget, rounds)
    buying = _counted(selector, budget, rounds, recipe.judges)
    return Together(selector, predictor, scenes, recipe, buying)


def _counted(
    selector: Selector, budget: tuple[int, int], rounds: int | Sequence[float], share: float
) -> Buying:
    anyhow = Random(selector.channels, selector.size)

    def buying(batch: Scenes, warm: bool) -> tuple[Bought, None]:
        portions = split_rounds(draw_budget(*budget), rounds)
        if not selector.learned:
            return buy(selector, batch, portions), None
        if warm:
            return buy(anyhow, batch, portions), None
        judges = torch.rand_like(batch.valid, dtype=torch.float32) < share
        return buy(selector, batch, portions, judges if share < 1 else None), None

    return buying
