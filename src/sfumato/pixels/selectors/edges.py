"""Pixels on edges: the baseline that follows the picture without learning."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from sfumato.errors import SettingError
from sfumato.noise.base import at_least_float32
from sfumato.pixels.selectors.base import Seen, Selector
from sfumato.pixels.selectors.draws import gumbel, stratified, top_k


@final
class Edges(Selector):
    """Pixels drawn in proportion to the strength of the edge that they are on.

    p(i) ∝ |∇I|_i / mean |∇I| + floor, with Sobel's gradient, its length taken over all channels.
    In the mode "mean" the strongest are chosen.

    Args:
        channels: of the pictures.
        size: height and width of the pictures.
        stratified: draw one pixel in each of k cells; False to draw k from all.
        floor: what a pixel without an edge counts, beside 1 for a mean one.

    Raises:
        SettingError: the floor is not above 0.

    Example:
        >>> import torch, sfumato as sf
        >>> image = torch.zeros(1, 1, 4, 8)
        >>> image[..., 5:] = 1.0  # an edge between the columns 4 and 5
        >>> selector = Edges(1, (4, 8), stratified=False)
        >>> with sf.sampling(selector, "mean"):
        ...     sorted(set(selector.query(image, None, k=8)[0, :, 1].tolist()))
        [4, 5]
    """

    def __init__(
        self, channels: int, size: tuple[int, int], *, stratified: bool = True, floor: float = 0.1
    ) -> None:
        super().__init__(channels, size)
        if not 0 < floor < float("inf"):
            raise SettingError(f"floor must be above 0 and finite, not {floor}")
        self.stratified = stratified
        self.floor = float(floor)

    def choose(self, seen: Seen, k: int) -> Tensor:
        strength = sobel(seen.image)
        mean = strength.mean((1, 2, 3), keepdim=True)
        logits = torch.where(mean > 0, strength / mean, 0.0).add(self.floor).log()
        noise = gumbel(logits, self.source) if self.mode == "sample" else None
        if self.stratified:  # the centre decides between equal pixels alone
            return stratified(logits, seen.bought, k, noise=noise, centre=1e-4)
        return top_k(logits, seen.bought, k, noise=noise)

    def config(self) -> dict[str, Any]:
        return {name: value for name, value in super().config().items() if name != "values"}

    def settings(self) -> dict[str, Any]:
        return {"stratified": self.stratified, "floor": self.floor}


def sobel(image: Tensor) -> Tensor:
    """The length of Sobel's gradient, over all channels: `[B, 1, H, W]`; the border replicated."""
    wide = pad(at_least_float32(image), (1, 1, 1, 1), mode="replicate")
    across = wide.new_tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 8
    kernels = torch.stack([across, across.T])[:, None].repeat(image.shape[1], 1, 1, 1)
    gradient = conv2d(wide, kernels, groups=image.shape[1])
    return gradient.square().sum(1, keepdim=True).sqrt()
