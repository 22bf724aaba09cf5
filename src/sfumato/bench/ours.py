"""Our layers as the cases call them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from sfumato.bench.case import Candidate, Model
from sfumato.nn.record import record


def bayesian(
    name: str, make: Callable[[], nn.Module], *, kl: bool, asked: bool = True
) -> tuple[Candidate, ...]:
    """A Bayesian layer without its KL, or with it in the two ways there are.

    `layer.kl()` is a function of the parameters alone; `rec.kl` of `sf.record` comes out of the
    same pass as the draw.
    """
    if not kl:
        return (Candidate(name, "ours", lambda: plain(make()), asked),)
    return (
        Candidate(f"{name}, layer.kl()", "ours", lambda: _with_kl(make()), asked),
        Candidate(f"{name}, rec.kl", "ours", lambda: _recorded(make()), asked),
    )


def plain(module: nn.Module, *more: Any) -> Model:
    """The layer called with the records and `more`; of a recurrent layer the sequence counts."""

    def call(x: Tensor) -> Tensor:
        result = module(x, *more)
        return result[0] if isinstance(result, tuple) else result

    return Model(module, call)


def _with_kl(module: Any) -> Model:
    model = plain(module)
    return Model(module, lambda x: (model.call(x), module.kl()))


def _recorded(module: nn.Module) -> Model:
    model = plain(module)

    def call(x: Tensor) -> tuple[Tensor, Tensor]:
        with record(module) as recording:
            output = model.call(x)
        return output, recording.kl

    return Model(module, call)
