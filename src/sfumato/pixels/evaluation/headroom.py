"""How good one could be with this predictor: masks chosen by somebody who sees the labels."""

from __future__ import annotations

from torch import Tensor, nn

from sfumato.pixels.evaluation.evaluate import Evaluation, predicted, score
from sfumato.pixels.scenes import Scenes
from sfumato.pixels.selectors import Oracle, Truth
from sfumato.pixels.tasks import Weigh
from sfumato.pixels.training.budget import check_budget
from sfumato.pixels.training.recipe import PixelRecipe


def oracle_for(
    batch: Scenes, predictor: nn.Module, weigh: Weigh | None = None, *, steps: int = 32
) -> Oracle:
    """A label-seeing oracle for the pictures of one batch; `weigh` as in the training."""

    def loss(made: Tensor) -> Tensor:
        each = batch.task.loss(made, batch.targets)
        return each if weigh is None else each * weigh(batch.targets)

    truth = Truth(batch.task.encode(batch.targets), batch.valid, loss)
    return Oracle(batch.channels, batch.size, predictor=predictor, truth=truth, steps=steps)


def evaluate_oracle(
    predictor: nn.Module,
    scenes: Scenes,
    k: int,
    *,
    steps: int = 32,
    balance: float = PixelRecipe.balance,
    batch_size: int = 32,
    seed: int = 0,
) -> Evaluation:
    """Score a predictor with masks that were chosen by looking at the labels: the headroom.

    It is no method. A selector that comes close to it with the same predictor, or beats it, should
    be searched for a leak. The search is not exhaustive, so the best masks may be better still.

    Args:
        predictor: trained for any selector.
        scenes: to score on.
        k: pixels per picture.
        steps: of the oracle's search; each is one call of the predictor.
        balance: what is rare counts more in its loss, as by `PixelRecipe.balance`.
        batch_size: pictures at a time.
        seed: of whatever is drawn.

    Raises:
        DataError: a prediction is NaN.
        SettingError: a budget that does not fit.

    Example:
        >>> from sfumato.pixels.evaluation import evaluate
        >>> from sfumato.pixels.predictors import KernelInterpolation
        >>> from sfumato.pixels.scenes import open_scenes
        >>> from sfumato.pixels.selectors import Grid
        >>> scenes = open_scenes("digits", "test", limit=8)
        >>> predictor = KernelInterpolation(1, scenes.task)
        >>> grid = evaluate(Grid(1, (8, 8)), predictor, scenes, k=8)
        >>> evaluate_oracle(predictor, scenes, k=8, steps=4).score < grid.score
        True
    """
    check_budget(k, scenes.pixels)
    weigh = scenes.task.balanced(scenes.targets, scenes.valid, balance)
    found = predicted(
        lambda batch: oracle_for(batch, predictor, weigh, steps=steps),
        predictor,
        scenes,
        [k],
        batch_size,
        seed,
    )
    return score(scenes, found)
