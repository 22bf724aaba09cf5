"""Runs that differ in a function's values are different runs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.errors import StoreError
from sfumato.train import Batch, cross_entropy
from sfumato.train.identity import tag_of
from tests.compression.pruning.runs import run


def weighted(weight: float) -> Callable[[nn.Module, Batch], Tensor]:
    def loss(model: nn.Module, batch: Batch) -> Tensor:
        return weight * F.cross_entropy(model(batch.x), batch.labels)

    return loss


class Scaled:
    """A loss with a method."""

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        return self.weight * cross_entropy(model, batch)


def recursive(start: int) -> Callable[[int], int]:
    def down(count: int) -> int:
        return start if count == 0 else up(count - 1) + down(count - 1)

    def up(count: int) -> int:
        return down(count) + (up(count - 1) if count else 0)

    return down


def logged() -> Callable[[], None]:
    log = logging.getLogger("identity")
    return lambda: log.info("said")


@pytest.mark.parametrize(
    ("make", "values"),
    [
        (weighted, (1.0, 2.0)),
        (lambda weight: Scaled(weight).loss, (1.0, 2.0)),
        (lambda weight: partial(weighted, weight), (1.0, 2.0)),
        (lambda inner: lambda: inner, (weighted(1.0), weighted(2.0))),
        (lambda add: (lambda x: x + 1) if add else (lambda x: x - 1), (True, False)),
        (lambda add: (lambda x: x + 1) if add else (lambda x: x + 2), (True, False)),
        (recursive, (1, 2)),
    ],
    ids=["closure", "method", "partial", "nested", "code", "constant", "recursive"],
)
def test_a_tag_tells_functions_apart(make: Callable[[Any], Any], values: tuple[Any, Any]) -> None:
    one, same, other = make(values[0]), make(values[0]), make(values[1])
    assert tag_of(one) == tag_of(same) != tag_of(other)


def test_what_cannot_be_told_is_the_same_at_every_call() -> None:
    assert tag_of(logged()) == tag_of(logged())
    assert tag_of([object()]) == tag_of([object()])


def test_a_loss_of_another_weight_does_not_go_on_here(tmp_path: Path) -> None:
    run(tmp_path, loss=weighted(1.0), steps=1)
    run(tmp_path, loss=weighted(1.0), steps=1)
    with pytest.raises(StoreError, match="other settings"):
        run(tmp_path, loss=weighted(100.0), steps=1)
