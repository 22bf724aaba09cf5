"""What has been bought so far, as tensors: for the next query, and to train on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, final

import torch
from torch import Tensor
from torch.utils.data import Dataset

from sfumato.errors import DataError
from sfumato.pixels.formats.model import FAILED
from sfumato.pixels.rounds.round import Round


class Images(Protocol):
    """Pictures as tensors `[C, h, w]`, by number: a tensor, a list, a `PictureFolder`."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> Tensor: ...


@final
class Known:
    """Bought pixels of some pictures.

    Attributes:
        bought: `[N, 1, h, w]`, 0 and 1: every pixel that was asked for, also where it failed.
        target: `[N, 1, h, w]`, int64 class numbers or float32 values; 0 where nothing is known.
        valid: `[N, 1, h, w]`, bool: where the answer is known.
    """

    def __init__(self, bought: Tensor, target: Tensor, valid: Tensor) -> None:
        self.bought, self.target, self.valid = bought, target, valid

    def masks(self) -> tuple[Tensor, Tensor]:
        """What was bought, and of it what gave a label, for `selector.query`."""
        return self.bought, self.valid


def known_of(
    rounds: Sequence[Round], numbers: Sequence[int], size: tuple[int, int], values: bool
) -> Known:
    """What the rounds know of the pictures with these numbers."""
    count, cells = len(numbers), size[0] * size[1]
    bought = torch.zeros(count, cells)
    target = torch.zeros(count, cells, dtype=torch.float32 if values else torch.int64)
    valid = torch.zeros(count, cells, dtype=torch.bool)
    for one in rounds:
        for line, number in enumerate(numbers):
            bought[line, list(one.places[number])] = 1
            pairs = zip(one.places[number], one.answers[number], strict=True)
            told = [(cell, code) for cell, code in pairs if code is not None and code != FAILED]
            if told:
                where = [cell for cell, _ in told]
                target[line, where] = torch.tensor([code for _, code in told], dtype=target.dtype)
                valid[line, where] = True
    shape = (count, 1, *size)
    return Known(bought.view(shape), target.view(shape), valid.view(shape))


@final
class SparseLabels(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Pictures with the few labels that were bought: (picture, target, valid) per item.

    Args:
        images: the pictures `[C, h, w]`, in the order of the rounds.
        known: what is known of them.

    Raises:
        DataError: there are not as many pictures as there are labelled ones.
    """

    def __init__(self, images: Images, known: Known) -> None:
        if len(images) != len(known.target):
            raise DataError(f"{len(images)} pictures do not fit {len(known.target)} in the rounds")
        self.images, self.known = images, known

    def __len__(self) -> int:
        return len(self.known.target)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self.images[index], self.known.target[index], self.known.valid[index]
