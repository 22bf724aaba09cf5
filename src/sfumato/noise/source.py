"""Where the randomness comes from: torch's global generator, or the operating system."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal, final

import numpy as np
import torch
from torch import Tensor

from sfumato.errors import SettingError

Device = torch.device | str | None
SourceName = Literal["torch", "os"]

HALF_STEP = {torch.float32: 2.0**-24, torch.float64: 2.0**-53}
"""Half the distance between two values of `2 * torch.rand(...)`."""


class Source(ABC):
    """A source of standard random numbers. It has no state of its own."""

    name: SourceName

    @abstractmethod
    def normal(self, shape: Sequence[int], dtype: torch.dtype, device: Device) -> Tensor:
        """Independent N(0, 1) draws of the given shape; dtype float32 or float64."""

    @abstractmethod
    def symmetric(self, shape: Sequence[int], dtype: torch.dtype, device: Device) -> Tensor:
        """Independent uniform draws on (-1, 1), symmetric around 0; -1 and 1 never occur."""


@final
class TorchSource(Source):
    """Torch's global generator: seeded by `torch.manual_seed`, safe under activation checkpointing.

    A generator owned by a layer would give wrong gradients under checkpointing and would not
    export, so the global one is the default.
    """

    name = "torch"

    def normal(self, shape: Sequence[int], dtype: torch.dtype, device: Device) -> Tensor:
        # torch.normal stays quick under inductor, where randn is replaced by a scalar generator.
        return torch.normal(0.0, 1.0, tuple(shape), dtype=dtype, device=device)

    def symmetric(self, shape: Sequence[int], dtype: torch.dtype, device: Device) -> Tensor:
        # rand is a multiple of half_step in [0, 1): shifting by half a step of 2u - 1 makes the
        # grid symmetric and keeps every value exactly representable and away from -1, 0 and 1.
        if torch.compiler.is_compiling() and not torch._C._are_functorch_transforms_active():
            # Inductor replaces rand by a slow generator; vmap, in turn, refuses uniform_.
            uniform = torch.empty(tuple(shape), dtype=dtype, device=device).uniform_()
        else:
            uniform = torch.rand(tuple(shape), dtype=dtype, device=device)
        return uniform * 2 - 1 + HALF_STEP[dtype]


@final
class SystemSource(Source):
    """The operating system's cryptographic generator (`os.urandom`); it cannot be seeded.

    It draws on the CPU, cannot be replayed (activation checkpointing would see other noise when it
    recomputes) and refuses to be traced into a graph, where a draw would be frozen.
    """

    name = "os"

    def normal(self, shape: Sequence[int], dtype: torch.dtype, device: Device) -> Tensor:
        fine = self.symmetric(shape, torch.float64, device)
        return (torch.erfinv(fine) * math.sqrt(2.0)).to(dtype)

    def symmetric(self, shape: Sequence[int], dtype: torch.dtype, device: Device) -> Tensor:
        if torch.compiler.is_compiling() or torch.jit.is_tracing():  # pyright: ignore[reportPrivateImportUsage]
            # A trace would keep these bytes as a constant: the same noise at every later call.
            raise SettingError(
                "the 'os' source cannot be traced into a graph: its draw would be frozen there; "
                "use source='torch', or draw outside and pass eps"
            )
        bits = 52 if dtype == torch.float64 else 24
        count = math.prod(shape)
        words = np.frombuffer(os.urandom(8 * count), dtype=np.uint64) >> np.uint64(64 - bits)
        odd = words.astype(np.float64) * 2 + 1  # at most 53 bits: exact, as is the cast below
        values = torch.from_numpy(odd / 2.0**bits - 1)
        return values.reshape(tuple(shape)).to(device=device, dtype=dtype)


TORCH = TorchSource()
SYSTEM = SystemSource()


def source(name: SourceName | Source) -> Source:
    """The source called `name`.

    Raises:
        SettingError: there is no such source.
    """
    if isinstance(name, Source):
        return name
    for known in (TORCH, SYSTEM):
        if known.name == name:
            return known
    raise SettingError(f"unknown source of randomness {name!r}: use 'torch' or 'os'")
