"""Pictures of identities, seen by cameras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from sfumato.errors import DataError

JUNK = -1
"""The identity of a detection that shows nobody, as Market-1501 numbers it: never counted."""
DISTRACTOR = 0
"""The identity of Market-1501's wrong detections: they stand in the gallery alone and match nobody,
so that every one before a right picture counts against it."""


@final
@dataclass(frozen=True, eq=False, repr=False)
class Identities:
    """Pictures with the identity that each shows and the camera that took it.

    Attributes:
        inputs: `[N, C, H, W]`, float32 in [0, 1] or uint8, which takes a quarter of the memory.
        identities: `[N]`, int64; people have numbers from 1, as in Market-1501. -1 is junk, which
            is never counted; 0 is a distractor, which only a gallery may hold.
        cameras: `[N]`, int64.
        name: what to call them in messages and reports.
        names: of every picture, for example its file; empty where there are none.

    Raises:
        DataError: no pictures, or tensors that are not of these types or of one length.

    Example:
        >>> import torch
        >>> seen = Identities(torch.zeros(4, 3, 8, 8), torch.tensor([7, 7, 9, 9]), torch.arange(4))
        >>> seen
        Identities('data', 4 pictures of 2 identities by 4 cameras)
    """

    inputs: Tensor
    identities: Tensor
    cameras: Tensor
    name: str = "data"
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.inputs.ndim != 4 or self.inputs.dtype not in (torch.float32, torch.uint8):
            raise DataError(
                f"pictures of {self.name} must be float32 or uint8 [N, C, H, W], not "
                f"{self.inputs.dtype} {list(self.inputs.shape)}"
            )
        size = len(self.inputs)
        if size == 0:
            raise DataError(f"{self.name} holds no pictures")
        for what in ("identities", "cameras"):
            values = getattr(self, what)
            if values.dtype != torch.int64 or values.shape != (size,):
                raise DataError(
                    f"{what} of {self.name} must be int64 [{size}], not {values.dtype} "
                    f"{list(values.shape)}"
                )
        if self.names and len(self.names) != size:
            raise DataError(f"{self.name} has {size} pictures and {len(self.names)} names")

    def __len__(self) -> int:
        return len(self.inputs)

    def __repr__(self) -> str:
        return (
            f"Identities({self.name!r}, {len(self)} pictures of {self.count} identities by "
            f"{len(self.cameras.unique())} cameras)"
        )

    @property
    def count(self) -> int:
        """How many different identities there are, junk and distractors left out."""
        return len(self.identities[self.identities > DISTRACTOR].unique())

    @property
    def labels(self) -> Tensor:
        """`[N]`, identities numbered 0, 1, ... in their order: what a classifier learns."""
        return torch.unique(self.identities, return_inverse=True)[1]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one picture."""
        return tuple(self.inputs.shape[1:])

    def subset(self, indices: Sequence[int] | Tensor, name: str | None = None) -> Identities:
        """The pictures at `indices`, in that order, as a copy."""
        index = torch.as_tensor(indices, dtype=torch.int64)
        names = tuple(self.names[at] for at in index.tolist()) if self.names else ()
        return Identities(
            self.inputs[index],
            self.identities[index],
            self.cameras[index],
            self.name if name is None else name,
            names,
        )


def pixels(inputs: Tensor) -> Tensor:
    """Pictures as float32, bytes brought to [0, 1]."""
    return inputs.float().div_(255) if inputs.dtype == torch.uint8 else inputs


def check_people(identities: Tensor, what: str) -> None:
    """Raise a `DataError` where a distractor stands among identities `[N]` that are people.

    In the gallery it is what it should be; elsewhere it is most likely somebody in data whose
    identities are numbered from 0, and would be left out without a word.
    """
    if bool((identities == DISTRACTOR).any()):
        raise DataError(
            f"{what} the identity {DISTRACTOR}, which marks distractors and may stand in a gallery "
            "alone (Market-1501): number people from 1"
        )
