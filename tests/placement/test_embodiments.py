"""The three embodiments (spec 1 §2, spec 3 §5), each against its chain of calls."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import sfumato as sf
from sfumato.errors import DataError
from sfumato.placement import add, concatenate


class Parts:
    """N = N₂ ∘ N₁, layers L, and a conditional and an unconditional S_L, all on 1 x 6 x 6."""

    def __init__(self) -> None:
        self.first = nn.Conv2d(1, 3, 3, padding=1)
        self.second = nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(3 * 36, 5))
        self.layers = nn.Conv2d(1, 3, 1)
        self.inner = sf.nn.StochasticConv2d(3, 3, 3, padding=1)
        self.conditional = sf.nn.ConditionalConv2d(4, 3, 3, 3, padding=1)
        self.x, self.labels = torch.randn(2, 1, 6, 6), torch.tensor([3, 0])


@pytest.fixture
def parts() -> Parts:
    return Parts()


def once(call: Any) -> Tensor:
    torch.manual_seed(7)
    return call()


def test_before(parts: Parts) -> None:
    model, noise = nn.Sequential(nn.Flatten(), nn.Linear(36, 5)), sf.nn.AdditiveNoise((1, 6, 6))
    placed, x = sf.placement.before(model, noise), parts.x
    assert torch.equal(once(lambda: placed(x)), once(lambda: model(noise(x))))
    layers = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.Tanh())
    placed = sf.placement.before(model, noise, layers=layers)
    assert torch.equal(once(lambda: placed(x)), once(lambda: model(noise(layers(x)))))


def test_merge_then_noise(parts: Parts) -> None:
    p = parts
    placed = sf.placement.merge_then_noise(p.first, p.second, p.inner, p.layers)
    expected = once(lambda: p.second(p.inner(p.first(p.x) + p.layers(p.x))))
    assert torch.equal(once(lambda: placed(p.x)), expected)


def test_noise_then_merge(parts: Parts) -> None:
    p = parts
    placed = sf.placement.noise_then_merge(p.first, p.second, p.inner, p.layers)
    expected = once(lambda: p.second(p.first(p.x) + p.inner(p.layers(p.x))))
    assert torch.equal(once(lambda: placed(p.x)), expected)


def test_a_conditional_layer_takes_its_selection(parts: Parts) -> None:
    p = parts
    soft = sf.nn.SoftSelection(4, (3,))
    for place in (sf.placement.merge_then_noise, sf.placement.noise_then_merge):
        placed = place(p.first, p.second, p.conditional, p.layers)
        for selection in (p.labels, soft):
            assert placed(p.x, selection).shape == (2, 5)
    placed = sf.placement.before(p.second, p.conditional, p.first)
    expected = once(lambda: p.second(p.conditional(p.first(p.x), p.labels)))
    assert torch.equal(once(lambda: placed(p.x, p.labels)), expected)


def test_without_layers_the_branch_is_the_input(parts: Parts) -> None:
    p = parts
    same = nn.Conv2d(1, 1, 3, padding=1)
    noise, second = sf.nn.AdditiveNoise((1, 6, 6)), nn.Flatten()
    placed = sf.placement.merge_then_noise(same, second, noise)
    assert torch.equal(once(lambda: placed(p.x)), once(lambda: second(noise(same(p.x) + p.x))))
    placed = sf.placement.noise_then_merge(same, second, noise)
    assert torch.equal(once(lambda: placed(p.x)), once(lambda: second(same(p.x) + noise(p.x))))


def test_an_empty_sequence_of_layers_is_the_identity(parts: Parts) -> None:
    noise = sf.nn.AdditiveNoise((1, 6, 6))
    for place in (sf.placement.merge_then_noise, sf.placement.noise_then_merge):
        placed = place(nn.Identity(), nn.Flatten(), noise, nn.Sequential())
        assert placed(parts.x).shape == (2, 36)


@pytest.mark.parametrize("place", [sf.placement.merge_then_noise, sf.placement.noise_then_merge])
def test_merging_by_concatenation(place: Any, parts: Parts) -> None:
    p = parts
    channels = 6 if place is sf.placement.merge_then_noise else 3
    noise = sf.nn.StochasticConv2d(channels, channels, 1)
    placed = place(p.first, nn.Flatten(), noise, p.layers, merge=concatenate)
    assert placed(p.x).shape == (2, 6 * 36)


def test_branches_of_different_shapes_do_not_add(parts: Parts) -> None:
    p = parts
    placed = sf.placement.merge_then_noise(p.first, p.second, p.inner)
    with pytest.raises(DataError, match=r"have shapes \[2, 3, 6, 6\] and \[2, 1, 6, 6\]: choose L"):
        placed(p.x)
    with pytest.raises(DataError, match="choose L so that they agree"):
        add(torch.zeros(2, 3), torch.zeros(2, 1))


def test_the_model_is_used_and_not_copied(parts: Parts) -> None:
    placed = sf.placement.before(parts.second, parts.conditional, parts.first)
    placed(parts.x, parts.labels).sum().backward()
    for module in (parts.first, parts.second, parts.conditional):
        assert all(q.grad is not None for q in module.parameters())


@pytest.mark.parametrize("which", range(3))
def test_modes_and_recordings_reach_the_layer(which: int, parts: Parts) -> None:
    p = parts
    placed = [
        sf.placement.before(p.second, p.inner, p.first),
        sf.placement.merge_then_noise(p.first, p.second, p.inner, p.layers),
        sf.placement.noise_then_merge(p.first, p.second, p.inner, p.layers),
    ][which]
    with sf.sampling(placed, "mean"), sf.record(placed) as rec:
        assert torch.equal(placed(p.x), placed(p.x))
    assert list(rec.samples) == ["noise"]
    assert not torch.equal(placed(p.x), placed(p.x))
    with sf.sampling(placed, 3):
        assert placed(p.x).shape == (2, 5)
