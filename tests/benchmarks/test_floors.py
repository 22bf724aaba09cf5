"""The naive ways do the work that ours do, so that a comparison is one."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from sfumato.bench.floors import MIN_SCALE, NaiveHard, NaiveNoise, NaiveSoft, WithDraws


def test_draws_beside_the_work_change_nothing() -> None:
    layer = nn.Linear(3, 2)
    beside, x = WithDraws(layer, 1000), torch.randn(4, 3)
    assert torch.equal(beside(x), layer(x))
    drawn = beside.normals.clone()
    beside(x)
    assert not torch.equal(beside.normals, drawn)
    assert not beside.state_dict().keys() - {"layer.weight", "layer.bias"}


def test_naive_noise() -> None:
    layer, x = nn.Conv2d(3, 4, 1), torch.randn(2, 3, 5, 5)
    location, raw = layer(x).chunk(2, 1)
    torch.manual_seed(1)
    expected = location + (F.softplus(raw) + MIN_SCALE) * torch.randn_like(location)
    torch.manual_seed(1)
    torch.testing.assert_close(NaiveNoise(layer, 1)(x), expected)


def test_the_naive_hard_selection_takes_each_record_through_its_own_class() -> None:
    naive = NaiveHard(3, lambda: nn.Linear(4, 2), None)
    x, labels = torch.randn(5, 4), torch.tensor([2, 0, 1, 1, 2])
    rows = [naive.layers[int(c)](row) for c, row in zip(labels, x, strict=True)]
    torch.testing.assert_close(naive(x, labels), torch.stack(rows))
    assert NaiveHard(3, lambda: nn.Linear(4, 2), -1)(x, labels).shape == (5, 1)


def test_the_naive_soft_selection_weighs_the_input_of_each_class() -> None:
    x = torch.randn(2, 4, 3, 3)
    for shape in ((), (4,), (1, 3, 3), (4, 3, 3)):
        naive = NaiveSoft(2, lambda: nn.Conv2d(4, 6, 1), shape)
        torch.nn.init.normal_(naive.logits)
        pi = naive.logits.softmax(0).reshape(2, *shape, *(1,) * (3 - len(shape)))
        raw = naive.layers[0](x * pi[0]) + naive.layers[1](x * pi[1])
        torch.manual_seed(1)
        noise = torch.randn(2, 3, 3, 3)
        torch.manual_seed(1)
        expected = raw[:, :3] + (F.softplus(raw[:, 3:]) + MIN_SCALE) * noise
        torch.testing.assert_close(naive(x), expected)
