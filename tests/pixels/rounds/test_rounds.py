"""Rounds: fixed places, answers that add up, tensors for the next query."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sfumato.errors import DataError, SettingError, StoreError
from sfumato.pixels.formats import Answer, Legend, Picture
from sfumato.pixels.rounds import Budget, Ingested, Rounds, legend_of
from sfumato.pixels.scenes import from_dataset
from sfumato.pixels.tasks import Depth, Regression, Segmentation
from tests.pixels.rounds.given import (
    IMAGES,
    LEGEND,
    METRES,
    PICTURES,
    SIZE,
    Draw,
    answered,
    begun,
    files,
    suggested,
)


def test_places_are_fixed_while_answers_are_open(tmp_path: Path) -> None:
    rounds = suggested(tmp_path)
    before = files(rounds.folder)
    again = Rounds(rounds.folder).suggest(Draw(), IMAGES.flip(0), 2, seed=7)
    assert files(rounds.folder) == before
    assert again == rounds.rounds()[0] and again.waiting == 6 and not again.complete
    with pytest.raises(SettingError, match=r"round 1 asks for 2 pixels .* waits for 6 answers"):
        rounds.suggest(Draw(), IMAGES, 3)


def test_the_same_seed_chooses_alike_whatever_was_drawn_before(tmp_path: Path) -> None:
    first = suggested(tmp_path / "1").rounds()
    torch.rand(5)
    state = torch.get_rng_state()
    assert suggested(tmp_path / "2").rounds() == first
    assert torch.equal(torch.get_rng_state(), state)
    other = begun(tmp_path / "3").suggest(Draw(), IMAGES, 2, seed=1)
    assert other.places != first[0].places


def test_rounds_never_buy_a_pixel_twice(tmp_path: Path) -> None:
    rounds = begun(tmp_path)
    for number in range(1, 5):
        assert rounds.suggest(Draw(), IMAGES, 6).number == number
        rounds.ingest(answered(rounds))
    assert bool((rounds.known().bought == 1).all()) and bool(rounds.known().valid.all())
    with pytest.raises(SettingError, match="from 1 to the 0 pixels that are left, not 1"):
        rounds.suggest(Draw(), IMAGES, 1)


def test_questions_are_pixels_of_the_picture_and_answers_cells_of_the_grid(tmp_path: Path) -> None:
    rounds = suggested(tmp_path, legend=METRES)
    asked = rounds.sheet().suggestions
    cells = [divmod(cell, SIZE[1]) for picture in rounds.rounds()[0].places for cell in picture]
    for (row, column), one, number in zip(cells, asked, [0, 0, 1, 1, 2, 2], strict=True):
        height, width = PICTURES[number].height, PICTURES[number].width
        assert one.picture == PICTURES[number].name
        assert one.row == int((row + 0.5) * height / 4)
        assert one.column == int((column + 0.5) * width / 6)
    rounds.ingest(answered(rounds, None))
    known = rounds.known()
    for (row, column), one, number in zip(cells, asked, [0, 0, 1, 1, 2, 2], strict=True):
        assert known.target[number, 0, row, column] == pytest.approx(one.row + one.column / 100)
    assert known.target.dtype == torch.float32 and known.valid.sum() == 6
    assert torch.equal(known.bought.bool(), known.valid)


def test_failed_measurements_are_paid_for(tmp_path: Path) -> None:
    rounds = suggested(tmp_path)
    first, *rest = answered(rounds)
    done = rounds.ingest([replace(first, label=None, failed=True), *rest])
    assert done == Ingested(added=6, repeated=0, failed=1, waiting=0)
    assert rounds.budget() == (
        Budget("a.png", 2, 1, 1),
        Budget("b/ü 1.png", 2, 2, 0),
        Budget("b/ü 1.jpg", 2, 2, 0),
    )
    known = rounds.known()
    assert known.bought.flatten(1).sum(1).tolist() == [2, 2, 2]
    assert known.valid.flatten(1).sum(1).tolist() == [1, 2, 2]
    assert known.target.dtype == torch.int64 and int(known.target.sum()) == 5
    selector = Draw()
    rounds.suggest(selector, IMAGES, 22)
    assert torch.equal(torch.cat([seen.bought for seen in selector.seen]), known.bought)
    assert torch.equal(torch.cat([seen.shown for seen in selector.seen]).bool(), known.valid)


def test_a_selector_sees_bought_labels_and_no_others(tmp_path: Path) -> None:
    rounds = suggested(tmp_path, legend=METRES)
    first, *rest = answered(rounds, None)
    rounds.ingest([replace(first, value=None, failed=True), *rest])
    selector = Draw(values=1)
    with pytest.raises(SettingError, match=r"encode=task\.encode"):
        rounds.suggest(selector, IMAGES, 1)
    rounds.suggest(selector, IMAGES, 1, encode=lambda target: target + 5)
    known = rounds.known()
    assert torch.cat([seen.bought for seen in selector.seen]).sum() == 6
    before = torch.cat([seen.shown for seen in selector.seen])
    assert before.sum() == 5 and torch.equal(before.bool(), known.valid)
    values = [seen.values for seen in selector.seen if seen.values is not None]
    assert torch.equal(torch.cat(values), (known.target + 5) * known.valid)


def test_the_same_answers_twice_change_nothing(tmp_path: Path) -> None:
    rounds = suggested(tmp_path)
    answers = answered(rounds)
    rounds.ingest(answers)
    before = files(rounds.folder)
    assert rounds.ingest([*answers, *answers]) == Ingested(0, 6, 0, 0)
    assert files(rounds.folder) == before


def test_a_partial_set_waits_or_is_given_up(tmp_path: Path) -> None:
    rounds = suggested(tmp_path)
    answers = answered(rounds)
    assert rounds.ingest(answers[:2], missing="wait") == Ingested(2, 0, 0, 4)
    assert len(rounds.sheet(waiting=True).suggestions) == 4
    assert rounds.budget()[1].waiting == 2
    assert rounds.suggest(Draw(), IMAGES, 2).number == 1
    assert rounds.ingest(answers[1:3], missing="failed") == Ingested(4, 1, 3, 0)
    assert rounds.budget()[1] == Budget("b/ü 1.png", 2, 1, 1)
    assert rounds.suggest(Draw(), IMAGES, 3).number == 2


def test_answers_of_an_earlier_round_are_taken_too(tmp_path: Path) -> None:
    rounds = suggested(tmp_path)
    rounds.ingest([], missing="failed")
    rounds.suggest(Draw(), IMAGES, 3)
    both = answered(rounds, "sky", 1) + answered(rounds, "road", 2)
    with pytest.raises(DataError, match="was answered 'failed' before and is 'sky' now"):
        rounds.ingest(both)
    assert rounds.ingest(both, replace=True) == Ingested(15, 0, 0, 0)
    assert [one.complete for one in rounds.rounds()] == [True, True]


def test_a_training_set_of_sparse_labels(tmp_path: Path) -> None:
    rounds = suggested(tmp_path)
    rounds.ingest(answered(rounds))
    data = rounds.training_set(IMAGES)
    assert len(data) == 3
    for number, (image, target, valid) in enumerate(data[i] for i in range(3)):
        assert torch.equal(image, IMAGES[number])
        assert target.shape == valid.shape == (1, 4, 6)
        assert int(valid.sum()) == 2 and bool((target[valid] == 1).all())
    with pytest.raises(DataError, match="2 pictures do not fit 3"):
        rounds.training_set(IMAGES[:2])


def test_beginning_again_goes_on(tmp_path: Path) -> None:
    rounds = suggested(tmp_path)
    assert begun(tmp_path).rounds() == rounds.rounds()


@pytest.mark.parametrize(
    ("pictures", "size", "legend", "said"),
    [
        (PICTURES, (4, 5), LEGEND, "about a grid of 4×6, not 4×5"),
        (PICTURES, SIZE, METRES, "take the classes sky, road, not numbers in 'm'"),
        (PICTURES[:2], SIZE, LEGEND, r"'b/ü 1\.jpg' is gone since"),
        ((*PICTURES, Picture("c.png", 9, 9)), SIZE, LEGEND, r"'c\.png' is new since"),
        ((Picture("a.png", 4, 6, "f0"), *PICTURES[1:]), SIZE, LEGEND, r"'a\.png' has changed"),
        (PICTURES[::-1], SIZE, LEGEND, "another order"),
        ((), SIZE, LEGEND, "no pictures to ask about"),
        (PICTURES, (5, 6), LEGEND, r"'a\.png' has 4×6 pixels, fewer than the 5×6"),
        (PICTURES[:1] * 2, SIZE, LEGEND, "two pictures have one name"),
    ],
    ids=["grid", "legend", "gone", "new", "changed", "order", "none", "small", "twice"],
)
def test_rounds_about_something_else(
    tmp_path: Path, pictures: tuple[Picture, ...], size: tuple[int, int], legend: Legend, said: str
) -> None:
    rounds = begun(tmp_path)
    before = files(rounds.folder)
    with pytest.raises((DataError, StoreError), match=said):
        Rounds.begin(rounds.folder, pictures, size, legend)
    assert files(rounds.folder) == before


def test_nothing_there_yet(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no rounds"):
        Rounds(tmp_path)
    rounds = begun(tmp_path)
    with pytest.raises(DataError, match="nothing was asked so far"):
        rounds.ingest([Answer("a.png", 0, 0, "sky")])
    with pytest.raises(SettingError, match="there is no round 0: 0 were suggested"):
        rounds.sheet()
    assert rounds.budget()[0] == Budget("a.png", 0, 0, 0)
    assert not bool(rounds.known().bought.any())


@pytest.mark.parametrize("k", [0, -1, 25])
def test_a_budget_that_cannot_be(tmp_path: Path, k: int) -> None:
    with pytest.raises(SettingError, match="from 1 to the 24 pixels"):
        begun(tmp_path).suggest(Draw(), IMAGES, k)


def test_pictures_that_do_not_fit(tmp_path: Path) -> None:
    rounds = begun(tmp_path)
    with pytest.raises(DataError, match=r"about 3 pictures of \(4, 6\), not 2"):
        rounds.suggest(Draw(), IMAGES[:2], 1)
    with pytest.raises(DataError, match=r"not 3 pictures of \(2, 6\)"):
        rounds.suggest(Draw(size=(2, 6)), IMAGES[:, :, :2], 1)
    with pytest.raises(DataError, match=r"picture 'a\.png' is \[3, 3, 6\]"):
        rounds.suggest(Draw(), IMAGES[:, :, :3], 1)


def test_settings_that_are_none(tmp_path: Path) -> None:
    rounds = suggested(tmp_path)
    with pytest.raises(SettingError, match="missing must be one of error, wait, failed"):
        rounds.ingest([], missing="skip")  # pyright: ignore[reportArgumentType]
    with pytest.raises(SettingError, match="tolerance at least 0"):
        rounds.ingest([], tolerance=-1)


def test_a_task_tells_the_legend() -> None:
    assert legend_of(Segmentation(2, ("sky", "road"))) == LEGEND
    assert legend_of(Depth()) == METRES
    with pytest.raises(SettingError, match="a pixel of this task has 3"):
        legend_of(Regression(3))


def test_what_is_known_is_data_for_a_task(tmp_path: Path) -> None:
    rounds = suggested(tmp_path)
    rounds.ingest(answered(rounds))
    scenes = from_dataset(rounds.training_set(IMAGES), Segmentation(2, LEGEND.classes))
    assert len(scenes) == 3 and torch.equal(scenes.valid, rounds.known().valid)
