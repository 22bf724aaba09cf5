"""Whether a selector chooses by labels that it did not pay for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sfumato.pixels.scenes import Scenes
from sfumato.pixels.selectors import Selector
from sfumato.pixels.training.budget import split_rounds
from sfumato.pixels.training.buying import buy
from sfumato.train import seeded


@torch.no_grad()
def label_leaks(
    selector: Selector | Callable[[Scenes], Selector],
    scenes: Scenes,
    k: int,
    *,
    rounds: int | Sequence[float] = 1,
    seed: int = 0,
) -> list[int]:
    """The pictures for which the choice depends on labels that were not bought.

    Every picture is chosen from twice with the same draws. The second time the labels of all
    pixels that were not bought, and whether they are known at all, come from another place of the
    picture. An honest selector cannot tell the difference.

    Args:
        selector: to be tried, as it is, in its mode; or what makes one from scenes, if there is
            more in its making than pictures.
        scenes: a few pictures are enough.
        k: pixels per picture.
        rounds: as for `evaluate`.
        seed: of whatever is drawn.

    Returns:
        The numbers of the pictures whose choice changed; none is what should be found.

    Example:
        >>> from sfumato.pixels.scenes import open_scenes
        >>> from sfumato.pixels.selectors import Grid
        >>> label_leaks(Grid(1, (8, 8)), open_scenes("digits", limit=4), k=5, rounds=2)
        []
    """
    portions = split_rounds(k, rounds)
    first = _choice(selector, scenes, portions, seed)
    second = _choice(selector, _betrayed(scenes, first), portions, seed)
    return (first != second).flatten(1).any(1).nonzero()[:, 0].tolist()


def _choice(
    selector: Selector | Callable[[Scenes], Selector],
    scenes: Scenes,
    portions: Sequence[int],
    seed: int,
) -> Tensor:
    with seeded(seed, "leaks"):
        made = selector if isinstance(selector, Selector) else selector(scenes)
        return buy(made, scenes, portions).paid


def _betrayed(scenes: Scenes, bought: Tensor) -> Scenes:
    """The scenes with other labels wherever nothing was bought."""
    shift = (scenes.size[0] // 2, scenes.size[1] // 2)
    targets = torch.where(bought, scenes.targets, scenes.targets.roll(shift, (2, 3)))
    valid = torch.where(bought, scenes.valid, ~scenes.valid)
    return scenes.with_(targets=targets, valid=valid)
