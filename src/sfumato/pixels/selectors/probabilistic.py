"""The probabilistic mask: a Bernoulli per pixel, trained through its moments."""

from __future__ import annotations

from typing import final

from torch import Tensor

from sfumato.noise.base import at_least_float32
from sfumato.pixels.selectors.moments import mask_moments
from sfumato.pixels.selectors.penalised import Penalised


@final
class Probabilistic(Penalised):
    """M ~ Bernoulli(σ(W)), trained by moment propagation (spec 5, "Probabilistic Mask Approach").

    The relaxed mask is σ(W) + √(σ(W)(1 - σ(W))) ε with one ε ~ N(0, 1) per pixel: times a truth D
    it has the law of `propagated(D, W, ε)`, and all channels of a pixel share the draw, as they
    share the measurement. It is not held to [0, 1]. In the mode "mean" it is σ(W).

    Bought is a Bernoulli draw; in the mode "mean" what is more likely bought than not.

    Example:
        >>> import torch
        >>> selector, image = Probabilistic(3, (8, 8)), torch.rand(2, 3, 8, 8)
        >>> bool(selector.relaxed(image).requires_grad), selector(image, k=3).sum().item()
        (True, 6.0)
    """

    def relax(self, logits: Tensor) -> Tensor:
        mean, deviation = mask_moments(logits)
        if self.mode == "mean":
            return mean
        eps = self.source.normal(logits.shape, logits.dtype, logits.device)
        return mean + deviation * eps

    def buy(self, logits: Tensor) -> Tensor:
        if self.mode == "mean":
            return logits > 0
        wide = at_least_float32(logits)
        uniform = self.source.symmetric(wide.shape, wide.dtype, wide.device)
        return (uniform + 1) / 2 < wide.sigmoid()
