"""Shifted and mirrored pictures whose place can be told afterwards."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from sfumato.train import generator


@dataclass(frozen=True)
class Shifts:
    """A change of training pictures: by whole pixels, and mirrored where asked for.

    Which copy of a record a batch shows follows from the batch alone, so that a loss can look up
    what a teacher said of that very copy.

    Args:
        radius: pixels at most, in both directions; what comes in from outside is 0.
        mirrored: half of the pictures are mirrored left to right.
        seed: of the choice.
    """

    radius: int = 0
    mirrored: bool = False
    seed: int = 0

    @property
    def copies(self) -> int:
        """How many different copies there are of a record."""
        return (2 * self.radius + 1) ** 2 * (2 if self.mirrored else 1)

    def codes(self, rows: Tensor, done: float) -> Tensor:
        """Which copy of each record `[B]` is shown at this point of a training, `[B]`."""
        random = generator("shifts", self.seed, done, int(rows[0]))
        return torch.randint(self.copies, (len(rows),), generator=random)

    def copy(self, x: Tensor, codes: Tensor) -> Tensor:
        """These copies of pictures `[B, C, H, W]`; the same shape."""
        if self.copies == 1:
            return x
        codes, side = codes.to(x.device), 2 * self.radius + 1
        if self.mirrored:
            turned = (codes >= side**2).reshape(-1, 1, 1, 1)
            x = torch.where(turned, x.flip(3), x)
        down, right = codes % side**2 // side, codes % side
        height, width = (torch.arange(size, device=x.device) for size in x.shape[2:])
        rows = (height + down[:, None])[:, None, :, None]
        columns = (width + right[:, None])[:, None, None, :]
        records, channels = (torch.arange(size, device=x.device) for size in x.shape[:2])
        padded = F.pad(x, (self.radius,) * 4)
        return padded[records[:, None, None, None], channels[None, :, None, None], rows, columns]

    def __call__(self, x: Tensor, rows: Tensor, done: float) -> Tensor:
        return self.copy(x, self.codes(rows, done))
