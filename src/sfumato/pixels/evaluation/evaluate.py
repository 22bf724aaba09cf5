"""How good a selector and its predictor are: scored on what was not bought."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn

from sfumato.errors import DataError, SettingError
from sfumato.nn.mode import sampling
from sfumato.pixels.scenes import Scenes
from sfumato.pixels.selectors import Penalised, Realised, Selector
from sfumato.pixels.selectors.uncertainty import evaluated
from sfumato.pixels.tasks import reveal
from sfumato.pixels.training.budget import check_budget, split_rounds
from sfumato.pixels.training.buying import buy
from sfumato.pixels.training.loop import check_fit
from sfumato.train import seeded


@final
@dataclass(frozen=True)
class Evaluation:
    """The figures of one selector and its predictor on one set of pictures.

    Args:
        figures: of all valid pixels that were not bought: `miou` and `accuracy` in [0, 1], or
            `rmse` and `mae` in the targets' unit. Empty if everything was bought.
        headline: the one to compare by, a key of `figures`.
        pixels: how many were really bought per picture.
        failed: how many of them gave no label, per picture, on average.
        pictures: how many there were.
        seconds: per picture, choosing and predicting.
    """

    figures: dict[str, float]
    headline: str
    pixels: Realised
    failed: float
    pictures: int
    seconds: float

    @property
    def score(self) -> float:
        """The headline figure; NaN if there was no pixel left to score."""
        return self.figures.get(self.headline, float("nan"))

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        bought = {
            "minimum": self.pixels.minimum,
            "mean": self.pixels.mean,
            "maximum": self.pixels.maximum,
        }
        return {
            "figures": self.figures,
            "headline": self.headline,
            "pixels": bought,
            "failed": self.failed,
            "pictures": self.pictures,
            "seconds": self.seconds,
        }


def evaluate(
    selector: Selector,
    predictor: nn.Module,
    scenes: Scenes,
    k: int | None,
    *,
    rounds: int | Sequence[float] = 1,
    batch_size: int = 32,
    seed: int = 0,
) -> Evaluation:
    """Score a selector and its predictor on the pixels that were not bought.

    The bought pixels are known: counting them would flatter whoever buys what is hard. A failed
    measurement counts against the budget and is not scored either.

    Args:
        selector: used in the mode "mean": what draws, draws its most likely choice; random
            baselines draw.
        predictor: used in evaluation mode.
        scenes: to score on.
        k: pixels per picture; None lets a selector with a price per pixel buy what it would.
        rounds: in how many rounds, or in rounds of which shares, they are bought.
        batch_size: pictures at a time.
        seed: of whatever is drawn.

    Raises:
        DataError: scenes that do not fit the selector, or a prediction that is NaN.
        SettingError: a budget or a predictor that does not fit the scenes.

    Example:
        >>> import torch
        >>> from sfumato.pixels.predictors import KernelInterpolation
        >>> from sfumato.pixels.scenes import open_scenes
        >>> from sfumato.pixels.selectors import Grid
        >>> scenes = open_scenes("digits", "test", limit=32)
        >>> found = evaluate(Grid(1, (8, 8)), KernelInterpolation(1, scenes.task), scenes, k=16)
        >>> found.pixels.mean, found.headline
        (16.0, 'rmse')
    """
    check_fit(selector, predictor, scenes)
    portions = portions_of(selector, scenes, k, rounds)
    return score(
        scenes, predicted(lambda _: selector, predictor, scenes, portions, batch_size, seed)
    )


def predict(
    selector: Selector,
    predictor: nn.Module,
    scenes: Scenes,
    k: int | None,
    *,
    rounds: int | Sequence[float] = 1,
    batch_size: int = 32,
    seed: int = 0,
) -> tuple[Tensor, Tensor]:
    """The masks `[N, 1, H, W]` and predictions `[N, O, H, W]` that `evaluate` would score.

    Arguments and errors as for `evaluate`.
    """
    check_fit(selector, predictor, scenes)
    portions = portions_of(selector, scenes, k, rounds)
    found = list(predicted(lambda _: selector, predictor, scenes, portions, batch_size, seed))
    return torch.cat([mask for _, mask, _ in found]), torch.cat([each for _, _, each in found])


def portions_of(
    selector: Selector, scenes: Scenes, k: int | None, rounds: int | Sequence[float]
) -> list[int] | None:
    """The pixels of each round; None for a selector that buys as it likes.

    Raises:
        SettingError: a budget that does not fit, or none where one is needed.
    """
    if k is not None:
        check_budget(k, scenes.pixels)
        return split_rounds(k, rounds)
    if not isinstance(selector, Penalised):
        raise SettingError(f"{type(selector).__name__} needs k, the pixels per picture")
    return None


def score(scenes: Scenes, found: Iterator[tuple[Scenes, Tensor, Tensor]]) -> Evaluation:
    """Score batches with their masks and predictions.

    Raises:
        DataError: a prediction is NaN.
    """
    tally: Tensor | None = None
    masks, failed = [], 0.0
    begun = time.perf_counter()
    for batch, mask, prediction in found:
        if not bool(torch.isfinite(prediction).all()):
            raise DataError(f"the predictor gives NaN for pictures of {scenes.name}: train it anew")
        part = scenes.task.tally(prediction, batch.targets, batch.valid & (mask == 0))
        tally = part if tally is None else tally + part
        masks.append(mask)
        failed += float((mask * ~batch.valid).sum())
    seconds = (time.perf_counter() - begun) / len(scenes)
    assert tally is not None
    figures = scenes.task.figures(tally)
    pixels = Realised.of(masks)
    return Evaluation(
        figures, scenes.task.headline, pixels, failed / len(scenes), len(scenes), seconds
    )


def predicted(
    choose: Callable[[Scenes], Selector],
    predictor: nn.Module,
    scenes: Scenes,
    portions: Sequence[int] | None,
    batch_size: int,
    seed: int,
) -> Iterator[tuple[Scenes, Tensor, Tensor]]:
    """Batch by batch the scenes, what was bought and what is predicted."""
    for number, index in enumerate(torch.arange(len(scenes)).split(batch_size)):
        batch = scenes.subset(index)
        selector = choose(batch)
        with (
            torch.no_grad(), seeded(seed, "evaluate", number), sampling(selector, "mean"),
            evaluated(selector), evaluated(predictor),
        ):  # fmt: skip
            mask, values, shown = _bought(selector, batch, portions)
            prediction = predictor(batch.images, values, shown)
        yield batch, mask, prediction


def _bought(
    selector: Selector, batch: Scenes, portions: Sequence[int] | None
) -> tuple[Tensor, Tensor, Tensor]:
    if portions is not None:
        bought = buy(selector, batch, portions)
        return bought.paid.to(batch.images), bought.values, bought.shown
    assert isinstance(selector, Penalised)
    mask = selector.buys(batch.images)
    return mask, *reveal(batch.task, mask, batch.targets, batch.valid)
