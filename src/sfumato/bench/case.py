"""What is compared: one way of calling each layer on the same records, and what is asked of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, final

import torch
from torch import Tensor, nn

from sfumato.errors import SettingError

Role = Literal["plain", "floor", "naive", "peer", "ours"]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class Absent(Exception):
    """A candidate cannot take part; the message says why, in a few words for the table."""


@final
@dataclass(frozen=True)
class Setting:
    """How the benchmark runs.

    Args:
        rounds: rounds per case.
        quick: tiny sizes, to see that everything runs; the figures mean nothing.
        device: where, as torch names it.
        dtype: "fp32" or "bf16", of parameters and records.
        compiled: the cases under `torch.compile` too.
        only: a part of the names of the cases to run; all without it.

    Raises:
        SettingError: a value that is none of these.
    """

    rounds: int = 21
    quick: bool = False
    device: str = "cpu"
    dtype: str = "fp32"
    compiled: bool = False
    only: str = ""

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise SettingError(f"rounds must be at least 1, not {self.rounds}")
        if self.dtype not in DTYPES:
            raise SettingError(f"dtype must be one of {', '.join(DTYPES)}, not {self.dtype!r}")
        try:
            kind = torch.device(self.device).type
        except RuntimeError as error:
            raise SettingError(f"device {self.device!r}: use cpu or cuda") from error
        if kind not in ("cpu", "cuda"):
            raise SettingError(f"device {self.device!r}: use cpu or cuda")
        if kind == "cuda" and not torch.cuda.is_available():
            raise SettingError(f"device {self.device!r}: torch sees no such device here")

    @property
    def accelerated(self) -> bool:
        """Whether the work is done on an accelerator."""
        return torch.device(self.device).type != "cpu"

    def pick(self, full: int, quick: int) -> int:
        """A size: `full`, or `quick` where only the running counts."""
        return quick if self.quick else full

    def records(self, *shape: int) -> Tensor:
        """Standard normal records of `shape`."""
        return torch.randn(shape).to(self.device, DTYPES[self.dtype])

    def place(self, module: nn.Module) -> nn.Module:
        """`module` on the device and in the dtype."""
        return module.to(self.device, DTYPES[self.dtype])


@final
@dataclass(frozen=True)
class Model:
    """A layer, and how it is called on the records: it gives the output, or (output, KL)."""

    module: nn.Module
    call: Callable[[Tensor], Any]


@final
@dataclass(frozen=True)
class Candidate:
    """One way to do what a case asks for; made only when the case is run.

    Args:
        name: what the table calls it.
        role: the plain torch layer, a floor, a naive way, a peer, or ours.
        make: gives the model, or raises `Absent`.
        asked: whether what is asked of ours is asked of this one.
    """

    name: str
    role: Role
    make: Callable[[], Model]
    asked: bool = True


@final
@dataclass(frozen=True)
class Reach:
    """What ours is asked to reach.

    Args:
        ratio: the largest ratio of times.
        of: the candidate that it is a ratio to; the baseline by default.
        saved_mib: the most that may be saved for the backward pass, in MiB.
    """

    ratio: float | None = None
    of: str | None = None
    saved_mib: float | None = None


@final
@dataclass(frozen=True)
class Case:
    """Candidates on the same records.

    Args:
        name: unique; what the table calls it.
        records: makes the input, the same for all.
        candidates: the first is the baseline.
        train: forward and backward; otherwise forward alone, without a graph.
        reach: what is asked of ours.
        known: figures from before this benchmark, in words: the best peer and the best prototype.
    """

    name: str
    records: Callable[[], Tensor]
    candidates: tuple[Candidate, ...]
    train: bool = True
    reach: Reach | None = None
    known: dict[str, str] | None = None


def simple(name: str, role: Role, make: Callable[[], nn.Module]) -> Candidate:
    """A candidate whose layer is called with the records alone."""

    def model() -> Model:
        module = make()
        return Model(module, module)

    return Candidate(name, role, model)
