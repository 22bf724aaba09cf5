"""Small layers whose cost in memory is known, and cases made of them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sfumato.bench.case import Absent, Candidate, Case, Model, Reach, Role
from sfumato.bench.step import Step


def step(call: Callable[[Tensor], object], *parameters: Tensor, train: bool = True) -> Step:
    """A step on `[4, 256]` records: 4 KiB."""
    module = nn.ParameterList(parameters)
    return Step(Model(module, call), torch.randn(4, 256), train)


def candidate(name: str, role: Role, call: Callable[[Tensor], object]) -> Candidate:
    return Candidate(name, role, lambda: Model(nn.Identity(), call))


def absent(name: str, role: Role, why: str) -> Candidate:
    def make() -> Model:
        raise Absent(why)

    return Candidate(name, role, make)


def case(*candidates: Candidate, reach: Reach | None = None, train: bool = True) -> Case:
    first = candidate("plain", "plain", lambda x: x * 2)
    known = {"peer": "4.3", "prototype": "2.4"}
    return Case("a case", lambda: torch.randn(4, 8), (first, *candidates), train, reach, known)
