from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.data import stratified_order
from sfumato.data.order import stratified_split


def worst(labels: torch.Tensor, order: torch.Tensor) -> float:
    """How far any class is from its share in any prefix, in records."""
    seen = torch.nn.functional.one_hot(labels[order]).double()
    share = seen.mean(0) * torch.arange(1, len(labels) + 1)[:, None]
    return float((seen.cumsum(0) - share).abs().max())


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=8), st.integers(0, 5))
def test_every_prefix_has_the_class_shares(counts: list[int], seed: int) -> None:
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    if len(labels) == 0:
        return
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))]
    order = stratified_order(labels, seed)
    assert torch.equal(order.sort().values, torch.arange(len(labels)))
    assert worst(labels, order) < 1


def test_many_small_classes_beside_a_large_one() -> None:
    labels = torch.cat([torch.zeros(2000, dtype=torch.int64), torch.arange(1, 51).repeat(20)])
    assert worst(labels, stratified_order(labels, 3)) < 1


def test_the_order_depends_on_the_seed_alone() -> None:
    labels = torch.arange(100) % 7
    first, again, other = (stratified_order(labels, seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_global_randomness_is_left_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    stratified_order(torch.arange(10) % 2, 5)
    assert torch.equal(before, torch.get_rng_state())


def test_the_order_of_nothing_is_nothing() -> None:
    assert len(stratified_order(torch.empty(0, dtype=torch.int64), 0)) == 0


@pytest.mark.parametrize("fraction", [0.0, 0.2, 1.0])
def test_a_split_is_disjoint_and_whole(fraction: float) -> None:
    labels = torch.arange(100) % 10
    kept, held_out = stratified_split(labels, fraction)
    assert len(held_out) == round(fraction * 100)
    assert torch.equal(torch.cat([kept, held_out]).sort().values, torch.arange(100))
    assert len(labels[held_out].bincount(minlength=10).unique()) == 1
