"""The naive mask: a network's output, held small by an L1 penalty."""

from __future__ import annotations

from typing import final

from torch import Tensor

from sfumato.pixels.selectors.penalised import Penalised


@final
class L1Mask(Penalised):
    """M = σ(W), trained with error² + λ ‖M‖₁ (spec 5, pages 8 and 9).

    Nothing makes M sparse: an L1 penalty on a mask that scales its input is met by a small M and
    a predictor that enlarges what comes. Bought is what is above one half. There is no noise, but
    for a call with k in the mode "sample".

    Example:
        >>> import torch
        >>> selector, image = L1Mask(3, (8, 8)), torch.rand(2, 3, 8, 8)
        >>> mask = selector.relaxed(image)
        >>> selector.penalty(mask).shape, selector(image, k=3).sum().item()
        (torch.Size([2]), 6.0)
    """

    def relax(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()

    def buy(self, logits: Tensor) -> Tensor:
        return logits > 0
