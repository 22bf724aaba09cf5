"""Screening hides boxes in releases, afresh at every step, and leaves clean records whole."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from sfumato.errors import SettingError
from sfumato.obfuscation import Screening

COUNT = 20_000


def hidden(screening: Screening, *shape: int, count: int = COUNT) -> Tensor:
    """Which elements of released ones are hidden, `[N, *shape]`."""
    x = torch.ones(count, *shape)
    return screening(x, torch.ones(count, dtype=torch.bool)) == 0


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 8), (1, 4, 4, 4)], ids=str)
def test_the_share_of_hidden_elements(share: float, shape: tuple[int, ...]) -> None:
    # A box of side s starts at one of n + s - 1 places of an axis of n, s of which hide an element.
    expected = math.prod((share * n) / (n + share * n - 1) for n in shape[1:])
    # Elements of one record hang together: 20,000 records give a standard error below 0.003.
    assert float(hidden(Screening(share=share), *shape).float().mean()) == pytest.approx(
        expected, abs=0.01
    )


def test_rim_and_centre_are_hidden_equally_often() -> None:
    often = hidden(Screening(share=0.5), 1, 8, 8).float().mean(0)
    assert float(often.max() - often.min()) < 0.02


def test_vectors_lose_a_stretch_of_features() -> None:
    gone = hidden(Screening(share=0.25), 8)
    # With room for 2 of 8 features, 1 or 2 neighbours are hidden.
    assert set(gone.sum(1).tolist()) == {1, 2}
    both = gone[gone.sum(1) == 2].float()
    places = torch.arange(8.0)
    assert bool(((both * places).amax(1) - both.argmax(1) == 1).all())


def test_boxes_add_up() -> None:
    one, three = (
        float(hidden(Screening(share=0.5, boxes=b), 1, 8, 8).float().mean()) for b in (1, 3)
    )
    assert three == pytest.approx(1 - (1 - one) ** 3, abs=0.015)


def test_a_box_covers_all_channels() -> None:
    gone = hidden(Screening(share=0.5), 3, 6, 6, count=200)
    assert torch.equal(gone[:, 0], gone[:, 1]) and torch.equal(gone[:, 0], gone[:, 2])


def test_clean_records_stay_whole() -> None:
    x, released = torch.rand(400, 1, 8, 8) + 0.1, torch.arange(400) % 2 == 0
    screened = Screening(share=0.5)(x, released)
    assert torch.equal(screened[~released], x[~released])
    seen = screened[released]
    assert bool((seen == 0).any())
    assert torch.equal(seen[seen != 0], x[released][seen != 0])


def test_it_is_fresh_at_every_step_and_for_every_record() -> None:
    x = torch.ones(1, 1, 8, 8).expand(50, -1, -1, -1)
    released = torch.ones(50, dtype=torch.bool)
    screening = Screening(share=0.5)
    first, second = screening(x, released), screening(x, released)
    assert not torch.equal(first, second)
    assert len(first.flatten(1).unique(dim=0)) > 20


def test_it_changes_a_copy() -> None:
    x = torch.ones(10, 1, 8, 8)
    Screening(share=1.0)(x, torch.ones(10, dtype=torch.bool))
    assert bool((x == 1).all())


@pytest.mark.parametrize("nothing", [Screening(share=0.0), Screening(boxes=0)], ids=str)
def test_it_can_be_switched_off(nothing: Screening) -> None:
    assert not bool(hidden(nothing, 1, 8, 8, count=100).any())


def test_a_small_share_hides_at_least_one_element() -> None:
    assert set(hidden(Screening(share=0.01), 1, 8, 8, count=50).flatten(1).sum(1).tolist()) == {1}


def test_the_fill() -> None:
    x, released = torch.zeros(50, 1, 8, 8), torch.ones(50, dtype=torch.bool)
    assert set(Screening(share=0.5, fill=0.5)(x, released).unique().tolist()) == {0.0, 0.5}


def test_no_record() -> None:
    none = torch.zeros(0, 1, 8, 8)
    assert Screening()(none, torch.zeros(0, dtype=torch.bool)).shape == none.shape


@pytest.mark.parametrize(("share", "boxes"), [(-0.1, 1), (1.1, 1), (math.nan, 1), (0.5, -1)])
def test_settings_that_cannot_be(share: float, boxes: int) -> None:
    with pytest.raises(SettingError, match=r"a share in \[0, 1\] and boxes >= 0"):
        Screening(share=share, boxes=boxes)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", (0.4, 0.4, 0.4, 0.4)),
        ("rising", (0.0, 0.1, 0.2, 0.4)),
        ("falling", (0.4, 0.3, 0.2, 0.0)),
        ("cosine", (0.4, 0.2 * (1 + math.sqrt(0.5)), 0.2, 0.0)),
    ],
)
def test_schedules(schedule: Any, expected: tuple[float, ...]) -> None:
    screening = Screening(share=0.4, boxes=2, fill=0.5, schedule=schedule)
    now = [screening.at(progress) for progress in (0.0, 0.25, 0.5, 1.0)]
    assert [each.share for each in now] == pytest.approx(list(expected))
    for each in now:
        assert (each.boxes, each.fill, each.schedule) == (2, 0.5, "constant")
        assert each.at(0.3) == each


def test_a_schedule_that_has_ended_hides_nothing() -> None:
    gone = Screening(share=0.5, schedule="cosine").at(1.0)
    assert not bool(hidden(gone, 1, 8, 8, count=100).any())


def test_called_itself_it_hides_the_whole_share() -> None:
    often = hidden(Screening(share=1.0, schedule="rising"), 1, 8, 8, count=2000).float().mean()
    # Of 8 x 8 elements with a box of 8 x 8: (8 / 15)² on average, five standard errors are 0.03.
    assert float(often) == pytest.approx((8 / 15) ** 2, abs=0.03)


@pytest.mark.parametrize("progress", [-0.1, 1.1, math.nan])
def test_progress_that_cannot_be(progress: float) -> None:
    with pytest.raises(SettingError, match="the progress of a training"):
        Screening().at(progress)


def test_an_unknown_schedule() -> None:
    unknown: Any = "sawtooth"
    with pytest.raises(SettingError, match="unknown schedule 'sawtooth'"):
        Screening(schedule=unknown)
