"""One learned mask for all pictures."""

from __future__ import annotations

from typing import Any, final

from torch import Tensor

from sfumato.pixels.selectors.base import Seen, Selector
from sfumato.pixels.selectors.checks import check_centre, check_temperature
from sfumato.pixels.selectors.draws import gumbel, stratified, top_k
from sfumato.pixels.selectors.network import FreeLogits


@final
class FixedMask(Selector):
    """One free logit per pixel, learned once and the same for every picture.

    With cells (the default) one pixel is drawn in each of k cells, as in `Stratified`. Without,
    k pixels are drawn from all, as in Deep Probabilistic Subsampling (Huijben et al. 2020). As the
    mask is fixed, it can be built into an instrument.

    Args:
        channels: of the pictures.
        size: height and width of the pictures.
        stratified: one pixel per cell; False for a free top-k.
        temperature: of the relaxation whose gradient is passed on; may be set while training.
        centre: how much worse a cell's side is than its centre, in logits, at first; with cells.

    Raises:
        SettingError: a setting outside of what it may be.

    Example:
        >>> import torch, sfumato as sf
        >>> selector = FixedMask(3, (8, 8))
        >>> with sf.sampling(selector, "mean"):
        ...     mask = selector(torch.rand(2, 3, 8, 8), k=4)
        >>> bool((mask[0] == mask[1]).all())
        True
    """

    learned = True
    conditional = False

    def __init__(
        self,
        channels: int,
        size: tuple[int, int],
        *,
        stratified: bool = True,
        temperature: float = 1.0,
        centre: float = 4.0,
    ) -> None:
        super().__init__(channels, size)
        self.stratified = stratified
        self.temperature = check_temperature(temperature)
        self.centre = check_centre(centre)
        self.scores = FreeLogits(self.size, flat=stratified)

    def choose(self, seen: Seen, k: int) -> Tensor:
        logits, warmth = self.scores(seen), self.temperature
        noise = gumbel(logits, self.source) if self.mode == "sample" else None
        if self.stratified:
            return stratified(
                logits, seen.bought, k, noise=noise, temperature=warmth, centre=self.centre
            )
        return top_k(logits, seen.bought, k, noise=noise, temperature=warmth)

    def config(self) -> dict[str, Any]:
        return {name: value for name, value in super().config().items() if name != "values"}

    def settings(self) -> dict[str, Any]:
        return {
            "stratified": self.stratified,
            "temperature": self.temperature,
            "centre": self.centre,
        }
