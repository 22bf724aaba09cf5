"""Asking a selector for the pixels of one picture after the other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import final

import torch
from torch import Tensor

from sfumato.errors import DataError, SettingError
from sfumato.pixels.rounds.known import Images, Known
from sfumato.pixels.selectors.base import Selector
from sfumato.train.seed import seeded

Encode = Callable[[Tensor], Tensor]


def described(selector: Selector, seed: int) -> str:
    """Names a selector, its settings, weights and seed: whether two runs choose alike."""
    digest = hashlib.sha256(json.dumps(selector.config(), sort_keys=True, default=str).encode())
    for name, tensor in sorted(selector.state_dict().items()):
        digest.update(f"{name} {list(tensor.shape)}".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return f"{type(selector).__name__} {digest.hexdigest()[:12]} seed {seed}"


@final
class Chooser:
    """Chooses k pixels of a picture, always the same ones for the same round and picture.

    Args:
        selector: of the rounds' size.
        images: pictures `[C, h, w]` by number.
        k: pixels per picture.
        encode: targets `[1, 1, h, w]` to values `[1, V, h, w]`, for a selector that looks at
            bought labels: `task.encode`.
        seed: of the draws.

    Raises:
        SettingError: the selector looks at labels and there is no `encode`.
    """

    def __init__(
        self, selector: Selector, images: Images, k: int, encode: Encode | None, seed: int
    ) -> None:
        if selector.values and encode is None:
            raise SettingError(
                f"{type(selector).__name__} looks at the labels bought so far: say how a label "
                "becomes values, encode=task.encode"
            )
        self._selector, self._images, self._k = selector, images, k
        self._encode, self._seed = encode, seed
        weight = next(selector.parameters(), None)
        self._device = torch.device("cpu") if weight is None else weight.device

    def choose(self, index: int, name: str, number: int, known: Known) -> list[int]:
        """Cells of picture `index`, called `name`, for round `number`.

        Raises:
            DataError: the picture has another size than the selector works on.
            SettingError: the selector broke its contract.
        """
        image = self._images[index]
        selector, wanted = self._selector, (self._selector.channels, *self._selector.size)
        if tuple(image.shape) != wanted:
            raise DataError(f"picture {name!r} is {list(image.shape)}, wanted is {list(wanted)}")
        values = None
        if selector.values and self._encode is not None:
            values = (self._encode(known.target) * known.valid).to(self._device)
        with seeded(self._seed, "pixels", "round", number, name):
            bought, shown = (one.to(self._device, torch.float32) for one in known.masks())
            pictures = image[None].to(self._device)
            found = selector.query(pictures, bought, self._k, values, shown)
        return self._checked(found.cpu(), known, name)

    def _checked(self, found: Tensor, known: Known, name: str) -> list[int]:
        kind = type(self._selector).__name__
        if tuple(found.shape) != (1, self._k, 2):
            raise SettingError(
                f"{kind}.query must give [1, {self._k}, 2] for picture {name!r}, not "
                f"{list(found.shape)}"
            )
        height, width = self._selector.size
        rows, columns = found[0].long().unbind(1)
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        cells = rows * width + columns
        if not bool(inside.all()) or len(cells.unique()) < self._k:
            raise SettingError(
                f"{kind}.query chose pixels twice or outside of picture {name!r}: it must give "
                f"{self._k} different ones"
            )
        if bool(known.bought.flatten()[cells].any()):
            raise SettingError(f"{kind}.query chose a pixel of {name!r} that was bought before")
        return cells.tolist()
