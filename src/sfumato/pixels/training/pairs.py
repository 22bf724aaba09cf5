"""Which of two pixels of a cell was the better buy, and scores that learn to foresee it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.pixels.scenes import Scenes
from sfumato.pixels.selectors import JitteredGrid, Stratified, cells
from sfumato.pixels.selectors.uncertainty import evaluated
from sfumato.pixels.tasks import Weigh, reveal
from sfumato.pixels.training.buying import buy
from sfumato.pixels.training.recipe import GainSettings


def pair_loss(
    selector: Stratified,
    predictor: nn.Module,
    batch: Scenes,
    portions: Sequence[int],
    weigh: Weigh,
    settings: GainSettings,
) -> Tensor:
    """The squared error of foreseen gains, over the cells of two draws.

    All portions but the last are bought by the selector. The last is drawn twice, in each cell its
    centre or, as often, any of its pixels; both are shown to the predictor, which does not learn
    here. Around a cell the difference of the two losses, L₁ - L₂, says which pixel was the better
    buy; in units of its standard deviation over the batch it is y, and the loss is
    mean (w₂ - w₁ - y)², with w the selector's logits at both pixels. So w becomes the mean gain of
    a pixel over the others of its cell, up to a number per cell: what the other cells of the draws
    hold is noise of mean zero.

    Args:
        selector: its scores learn.
        predictor: used in evaluation mode, without a gradient.
        batch: scenes.
        portions: pixels per picture of the rounds up to the one that is learned from.
        weigh: how much a pixel counts.
        settings: see there.
    """
    before, k = list(portions[:-1]), portions[-1]
    with torch.no_grad():
        bought = buy(selector, batch, before)
        paid = bought.paid.to(batch.images)
    seen = selector.look(batch.images, paid, bought.values, bought.shown)
    logits = selector.scores(seen)
    near = JitteredGrid(selector.channels, selector.size, share=0.5)
    with torch.no_grad(), evaluated(predictor):
        draws = [near(batch.images, k, paid) for _ in range(2)]
        losses = [
            bounded_loss(predictor, batch, paid + draw, weigh, settings.bound) for draw in draws
        ]
        both = batch.valid & (paid + draws[0] + draws[1] == 0)
        better = torch.where(both, losses[0] - losses[1], 0.0)
    of = cells(selector.size, sum(portions)).of.to(paid.device)
    foreseen, gain = _gains(logits, draws, better, of)
    spread = gain.std() if len(gain) > 1 else gain.new_zeros(())
    wanted = (gain / spread.clamp_min(1e-12)).clamp(-settings.outlier, settings.outlier)
    return (foreseen - wanted).square().sum() / max(1, len(gain))


def bounded_loss(
    predictor: nn.Module, batch: Scenes, mask: Tensor, weigh: Weigh, bound: float
) -> Tensor:
    """The weighted loss of every pixel, `[B, 1, H, W]`, if those of a mask are bought."""
    values, shown = reveal(batch.task, mask, batch.targets, batch.valid)
    each = batch.task.loss(predictor(batch.images, values, shown), batch.targets)
    return torch.nan_to_num(each, nan=bound).clamp(max=bound) * weigh(batch.targets)


def _gains(
    logits: Tensor, draws: Sequence[Tensor], better: Tensor, of: Tensor
) -> tuple[Tensor, Tensor]:
    """The foreseen and the seen gain of the second draw, of all cells that the draws are of."""
    number = int(of.max()) + 1
    side = math.sqrt(len(of) / number)
    reach = 2 * int(side / 2) + 1  # a cell and a little around it
    around = F.avg_pool2d(better, reach, 1, reach // 2, count_include_pad=False)

    def per_cell(plane: Tensor) -> Tensor:
        flat = plane.flatten(1)
        return flat.new_zeros(len(flat), number).scatter_add(1, of.expand(len(flat), -1), flat)

    taken = per_cell(draws[0]) > 0  # the same of both draws: cells are not drawn
    foreseen = per_cell(logits * draws[1]) - per_cell(logits * draws[0])
    gain = per_cell(around) / torch.bincount(of, minlength=number)
    return foreseen[taken], gain[taken]
