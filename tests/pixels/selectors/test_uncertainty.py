"""Uncertain pixels are found, in rounds, and the oracle is told apart from all honest selectors."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import sfumato as sf
from sfumato.errors import DataError, SettingError
from sfumato.pixels.selectors import (
    Edges,
    ExpectedError,
    FixedMask,
    Grid,
    GumbelMask,
    JitteredGrid,
    L1Mask,
    Oracle,
    Probabilistic,
    Random,
    Selector,
    Stratified,
    TopK,
    Truth,
    Uncertainty,
)

SIZE = (12, 12)


def unsure(image: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """Two classes: as unsure as the picture is bright."""
    return torch.cat([4 * (1 - image[:, :1]), 0 * mask], dim=1)


def spread(image: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """The mean of the labels around, weighted by a wide kernel: a number for every pixel."""
    wide = F.avg_pool2d(F.pad(torch.cat([values, mask], 1), (3,) * 4), 7, 1)
    return wide[:, :1] / wide[:, 1:].clamp(min=1e-6)


@pytest.mark.parametrize("measure", ["entropy", "margin"])
def test_the_unsure_pixels_are_chosen(measure: Any) -> None:
    image = torch.zeros(1, 1, *SIZE)
    places = [(1, 2), (5, 9), (10, 3)]
    for row, column in places:
        image[0, 0, row, column] = 1.0
    selector = Uncertainty(1, SIZE, values=2, predictor=unsure, measure=measure, start=0.0)
    assert selector.query(image, None, k=3)[0].tolist() == [list(place) for place in places]


def test_start_is_a_share_of_the_first_round_alone() -> None:
    image = torch.rand(2, 1, *SIZE)
    grid = Grid(1, SIZE)(image, k=8)
    selector = Uncertainty(1, SIZE, values=2, predictor=unsure, start=0.5)
    mask = selector(image, k=16)
    assert torch.equal(mask * grid, grid)
    later = selector(image, 16, grid)
    assert not torch.equal(later, Grid(1, SIZE)(image, 16, grid))
    best = (1 - (later + grid)) * image < float((later * image).max())
    assert bool(best.all())
    whole = Uncertainty(1, SIZE, values=2, predictor=unsure, start=1.0)
    assert torch.equal(whole(image, k=16), Grid(1, SIZE)(image, k=16))


def test_picks_keep_their_distance() -> None:
    image = torch.rand(1, 1, 24, 24)
    selector = Uncertainty(1, (24, 24), values=2, predictor=unsure, start=0.5, spacing=3)
    first = selector(image, k=8)
    both = first + selector(image, 8, first)
    places = both.nonzero()[:, 2:].double()
    apart = torch.cdist(places, places, p=torch.inf).fill_diagonal_(99)
    assert apart.min() >= 3


def test_labels_that_came_back_change_the_next_round() -> None:
    class Told(nn.Module):
        def forward(self, image: Tensor, values: Tensor, mask: Tensor) -> Tensor:
            return F.avg_pool2d(values, 5, 1, 2) * 50

    selector = Uncertainty(1, SIZE, values=2, predictor=Told())
    image, bought = torch.rand(1, 1, *SIZE), torch.zeros(1, 1, *SIZE)
    bought[..., 2, 2] = bought[..., 9, 9] = 1
    values = torch.cat([bought, 0 * bought], 1)
    sure = selector.uncertainty(selector.look(image, bought, values))
    assert float(sure[..., 2, 2]) < 0.4 < float(sure[..., 5, 6])
    failed = selector.uncertainty(selector.look(image, bought, values, 0 * bought))
    assert float(failed[..., 2, 2]) > 0.69  # paid for, and as unknown as before


def test_variance_is_high_between_labels_that_differ() -> None:
    bought = torch.zeros(1, 1, *SIZE)
    bought[..., 1::3, 1::3] = 1
    values = torch.zeros(1, 1, *SIZE)
    values[..., 6:] = 5.0
    selector = Uncertainty(
        1, SIZE, values=1, predictor=spread, measure="variance", start=0.0, draws=16
    )
    image = torch.zeros(1, 1, *SIZE)
    scores = selector.uncertainty(selector.look(image, bought, values))
    assert scores[..., 4:8].mean() > 3 * scores[..., :2].mean()


def test_a_predictor_is_left_as_it_was() -> None:
    predictor = nn.Sequential(nn.Dropout(0.5))
    seen: list[bool] = []

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = predictor

        def forward(self, image: Tensor, values: Tensor, mask: Tensor) -> Tensor:
            seen.append(self.training or predictor.training)
            return self.inner(torch.cat([image, image], 1))

    outer = Outer()
    predictor.eval()
    selector = Uncertainty(1, SIZE, values=2, predictor=outer)
    selector(torch.rand(1, 1, *SIZE), k=4)
    assert seen == [False]
    assert outer.training
    assert not predictor.training
    assert list(selector.state_dict()) == []


@pytest.mark.parametrize(
    ("made", "message"),
    [(torch.zeros(1, 2, 3, 3), "gives"), (torch.full((1, 2, *SIZE), torch.nan), "NaN")],
    ids=["shape", "nan"],
)
def test_a_predictor_that_is_none(made: Tensor, message: str) -> None:
    selector = Uncertainty(1, SIZE, values=2, predictor=lambda *_: made)
    with pytest.raises(DataError, match=message):
        selector(torch.rand(1, 1, *SIZE), k=4)


def test_settings_that_cannot_be() -> None:
    for wrong in ({"measure": "guess"}, {"start": 1.5}, {"spacing": 0}, {"draws": 1}):
        with pytest.raises(SettingError):
            Uncertainty(1, SIZE, values=2, predictor=unsure, **wrong)  # type: ignore[arg-type]
    single = Uncertainty(1, SIZE, values=1, predictor=spread, measure="margin", start=0.0)
    with pytest.raises(DataError, match="two classes"):
        single(torch.rand(1, 1, *SIZE), k=2)


def world(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures that tell nothing of their targets, and where a measurement succeeds."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(2, 1, *SIZE, generator=torch.Generator().manual_seed(0))
    target = F.interpolate(torch.rand(2, 1, 3, 3, generator=generator), size=SIZE) * 4
    return image, target, torch.rand(2, 1, *SIZE, generator=generator) < 0.8


def oracle(target: Tensor, valid: Tensor, **options: Any) -> Oracle:
    truth = Truth(target, valid, lambda made: (made - target).square())
    return Oracle(1, SIZE, predictor=spread, truth=truth, **options)


HONEST = {
    "random": lambda: Random(1, SIZE),
    "grid": lambda: Grid(1, SIZE),
    "jittered": lambda: JitteredGrid(1, SIZE),
    "edges": lambda: Edges(1, SIZE),
    "fixed": lambda: FixedMask(1, SIZE),
    "top-k": lambda: TopK(1, SIZE, values=1),
    "stratified": lambda: Stratified(1, SIZE, values=1),
    "expected-error": lambda: ExpectedError(1, SIZE, values=1, share=0.5),
    "entropy": lambda: Uncertainty(1, SIZE, values=1, predictor=spread, measure="variance"),
    "probabilistic": lambda: Probabilistic(1, SIZE, values=1),
    "gumbel": lambda: GumbelMask(1, SIZE, values=1),
    "l1": lambda: L1Mask(1, SIZE, values=1),
}


def chosen(
    selector: Selector, image: Tensor, target: Tensor, valid: Tensor, k: int
) -> list[Tensor]:
    """Three rounds; labels come back of what was bought and could be measured."""
    torch.manual_seed(4)
    bought, found = torch.zeros_like(image), []
    for _ in range(3):
        # The whole target is handed over: a selector must not make use of it.
        mask = selector(image, k, bought, target, bought * valid).detach()
        found.append(mask)
        bought = bought + mask
    return found


@pytest.mark.parametrize("name", HONEST)
def test_nothing_unpaid_is_looked_at(name: str) -> None:
    """Labels and failures that nobody has paid for change no choice, round by round."""
    image, target, valid = world(1)
    selector = HONEST[name]()
    with torch.no_grad():
        for weight in selector.parameters():
            weight.add_(torch.randn_like(weight) * 0.3)
    before = chosen(selector, image, target, valid, 6)
    for part in range(3):
        paid = torch.stack(before[:part]).sum(0) if part else torch.zeros_like(image)
        _, other, invalid = world(2)
        betrayed = torch.where(paid > 0, target, other)
        failing = torch.where(paid > 0, valid, invalid)
        after = chosen(selector, image, betrayed, failing, 6)
        assert torch.equal(before[part], after[part])


def test_the_alarm_rings_for_the_oracle() -> None:
    image, target, valid = world(1)
    _, other, invalid = world(2)
    oracles = oracle(target, valid), oracle(other, valid), oracle(target, invalid)
    found = []
    for each in oracles:
        with sf.sampling(each, "mean"):
            found.append(each(image, k=6))
    assert not torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def loss(mask: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    shown = mask * valid
    error = (spread(target, target * shown, shown) - target).square() * valid * (1 - mask)
    return error.sum((1, 2, 3)) / (valid * (1 - mask)).sum((1, 2, 3))


def test_the_oracle_is_never_worse_than_the_grid_and_searches() -> None:
    image, target, valid = world(3)
    grid = loss(Grid(1, SIZE)(image, k=8), target, valid)
    least = grid
    for options in ({"steps": 0, "rounds": 1}, {"steps": 0}, {"steps": 150}):
        selector = oracle(target, valid, **options)
        with sf.sampling(selector, "mean"):
            found = loss(selector(image, k=8), target, valid)
        assert bool((found <= grid + 1e-6).all())
        least = torch.minimum(least, found)
    assert bool((least < 0.7 * grid).all())


def test_the_oracle_wants_its_own_pictures() -> None:
    image, target, valid = world(1)
    with pytest.raises(DataError, match="one per batch"):
        oracle(target, valid)(image[:1], k=2)
    with pytest.raises(DataError, match="the truth needs"):
        oracle(target[:, :, 1:], valid)
    with pytest.raises(SettingError, match="at least 1 round"):
        oracle(target, valid, rounds=0)
    truth = Truth(target, valid, lambda made: made * torch.nan)
    with pytest.raises(DataError, match="finite loss"):
        Oracle(1, SIZE, predictor=spread, truth=truth)(image, k=2)
