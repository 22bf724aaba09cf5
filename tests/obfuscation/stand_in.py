"""The smallest thing that can release records, and a data set that is too large to look at."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset


class StandIn:
    """Adds noise, and remembers which records it released with which source."""

    def __init__(self, sigma: float = 1.0) -> None:
        self.sigma = sigma
        self.released: list[float] = []
        self.sources: set[str] = set()
        self.largest = 0

    def release(self, x: Tensor, labels: Tensor, *, source: str = "torch") -> Tensor:
        assert not torch.is_grad_enabled()
        assert x.shape[0] == labels.shape[0]
        self.released += x[:, 0, 0, 0].tolist()
        self.sources.add(source)
        self.largest = max(self.largest, len(x))
        return x + labels.view(-1, 1, 1, 1) / 10 + self.sigma * torch.randn_like(x)

    def digest(self) -> str:
        return hashlib.sha256(str(self.sigma).encode()).hexdigest()


class Stalling(StandIn):
    """Says when it has released `after` records, and then does not go on."""

    def __init__(self, after: int, mark: Path) -> None:
        super().__init__()
        self.after = after
        self.mark = mark

    def release(self, x: Tensor, labels: Tensor, *, source: str = "torch") -> Tensor:
        if len(self.released) >= self.after:
            self.mark.touch()
            time.sleep(600)
        return super().release(x, labels, source=source)


def item(number: int) -> tuple[Tensor, int]:
    return torch.full((1, 4, 4), float(number)), number % 3


class Numbers(Dataset[Any]):
    """Record i is full of i."""

    name = "numbers"

    def __init__(self, count: int) -> None:
        self.count = count
        self.reads: list[int] = []

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        self.reads.append(number)
        return item(number)


class Labelled(Numbers):
    """The same, with labels and names at hand, so that it need not be read twice."""

    classes = ("red", "green", "blue")

    @property
    def labels(self) -> Tensor:
        return torch.arange(self.count) % 3


class Stream(IterableDataset[Any]):
    """The same, one after another and without a length."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __iter__(self) -> Iterator[Any]:
        return (item(number) for number in range(self.count))


if __name__ == "__main__":
    from sfumato.obfuscation.release import release_dataset

    out, mark, after = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    release_dataset(Stalling(after, mark), Labelled(1000), out, shard_size=300)
