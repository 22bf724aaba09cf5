"""Learning from pairs of draws: the stages, what the scores come to be, what is resumed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sfumato.errors import DataError, SettingError
from sfumato.nn.mode import sampling
from sfumato.pixels.evaluation import evaluate
from sfumato.pixels.predictors import KernelInterpolation, UNet
from sfumato.pixels.scenes import Scenes, inpainting
from sfumato.pixels.selectors import Grid, Seen, Stratified, cells
from sfumato.pixels.selectors.network import Scores
from sfumato.pixels.tasks import Depth, Segmentation
from sfumato.pixels.training import (
    Gains,
    GainSettings,
    PixelRecipe,
    buy,
    split_rounds,
    train,
)
from sfumato.pixels.training.gains import GRID
from sfumato.pixels.training.settling import gain_over, held_back

SIZE = (8, 8)
RECIPE = PixelRecipe(
    steps=8, batch_size=4, checkpoint_every=3, gains=GainSettings(share=0.5, steps=5)
)


def scenes(count: int = 20) -> Scenes:
    generator = torch.Generator().manual_seed(3)
    return inpainting(torch.rand(count, 1, *SIZE, generator=generator))


def fresh(data: Scenes, **settings: Any) -> tuple[Stratified, UNet]:
    torch.manual_seed(5)
    selector = Stratified(data.channels, data.size, **settings)
    return selector, UNet(data.channels, data.task, width=4, depth=1)


def weights(module: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in module.parameters()]


def same(first: list[Tensor], second: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_each_stage_moves_what_it_is_about() -> None:
    data = scenes()
    selector, predictor = fresh(data)
    seen = [(weights(selector), weights(predictor))]

    def look(_: dict[str, Any]) -> None:
        seen.append((weights(selector), weights(predictor)))

    history = train(selector, predictor, data, 5, recipe=RECIPE, progress=look).history
    stages = [block["stage"] for block in history]
    assert stages == ["predictor", "predictor", "gains", "gains", "both", "both"]
    assert [block["step"] for block in history] == [3, 4, 7, 9, 12, 13]
    for stage, before, after in zip(stages, seen[:-1], seen[1:], strict=True):
        moved = not same(before[0], after[0]), not same(before[1], after[1])
        assert moved == (stage == "gains", stage != "gains")
    assert all(block["pixels"] == [5, 5.0, 5] for block in history[2:])
    assert history[3]["centre"] == selector.centre == selector.config()["centre"]


class Stopped(Exception):
    pass


@pytest.mark.parametrize("at", [3, 7, 9, 12])
@pytest.mark.parametrize("rounds", [1, 2])
def test_an_interrupted_training_ends_as_one_that_was_not(
    tmp_path: Path, at: int, rounds: int
) -> None:
    data = scenes()

    def run(**more: Any) -> tuple[list[Tensor], list[dict[str, Any]], float]:
        selector, predictor = fresh(data, values=1)
        done = train(selector, predictor, data, (3, 9), recipe=RECIPE, rounds=rounds, **more)
        return weights(selector) + weights(predictor), done.history, selector.centre

    def stop(state: dict[str, Any]) -> None:
        if state["epoch"] == at:
            raise Stopped

    path = tmp_path / "state.pt"
    with pytest.raises(Stopped):
        run(checkpoint=path, progress=stop)
    resumed, history, centre = run(checkpoint=path)
    whole, whole_history, whole_centre = run()
    assert same(resumed, whole) and history == whole_history and centre == whole_centre


def outliers(count: int) -> tuple[Scenes, Tensor]:
    """A third of the pixels, the dark ones, are far off; the others all tell of one shade."""
    generator = torch.Generator().manual_seed(1)
    shade = torch.rand(count, 1, 1, 1, generator=generator).expand(count, 1, *SIZE)
    bright = (torch.rand(count, 1, *SIZE, generator=generator) < 0.67).float()
    off = torch.where(torch.rand(count, 1, *SIZE, generator=generator) < 0.5, 4.0, -4.0)
    data = Scenes(bright, shade + (1 - bright) * off, torch.ones_like(bright).bool(), Depth())
    return data, bright


@pytest.mark.parametrize("rounds", [1, 2])
def test_a_selector_learns_which_pixel_tells_of_the_others(rounds: int) -> None:
    """One run with fixed seeds: it draws a dark pixel a third of the time before it has learned."""
    data, bright = outliers(64)
    torch.manual_seed(0)
    selector = Stratified(1, SIZE)
    predictor = KernelInterpolation(1, data.task, reach=0.5, colour=1e3)
    recipe = PixelRecipe(
        steps=1, batch_size=16, lr=1e-9, selector_lr=1e-2, mirror=False,
        gains=GainSettings(share=1.0, steps=80, bound=100.0),
    )  # fmt: skip
    train(selector, predictor, data, 4, recipe=recipe, rounds=rounds)
    with torch.no_grad():
        logits = selector.scores(selector.look(data.images))
    of = cells(SIZE, 4).of
    first = torch.stack([logits.flatten(1)[:, of == cell].argmax(1) for cell in range(4)], 1)
    chosen = torch.stack([bright.flatten(1)[:, of == cell] for cell in range(4)], 1)
    assert chosen.gather(2, first[:, :, None]).mean() > 0.97


class Deaf(nn.Module):
    """Predicts from the picture alone: no choice of pixels is worth anything to it."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, image: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        found: Tensor = self.net(image)
        return found


@pytest.mark.parametrize("rounds", [1, 3])
def test_where_nothing_is_to_be_gained_the_selector_is_the_grid(rounds: int) -> None:
    data = scenes(40)
    selector, _ = fresh(data)
    train(selector, Deaf(), data, 5, recipe=RECIPE, rounds=rounds)
    assert selector.centre == GRID
    with torch.no_grad():
        for weight in selector.parameters():
            weight.normal_()
    grid = Grid(1, SIZE)
    with sampling(selector, "mean"):
        paid = [buy(each, data, split_rounds(5, rounds)).paid for each in (selector, grid)]
    assert torch.equal(*paid)


def test_bought_pixels_are_no_gain() -> None:
    """Who buys what is hard need not predict it: that alone must not look better than a grid."""
    data, bright = outliers(32)
    selector, _ = fresh(data)
    with torch.no_grad():
        selector.scores = Dark()
    course = Gains(selector, Deaf(), data, RECIPE, (4, 4), 1)
    mean, _ = gain_over(course.tried(GRID), course.tried(0.0), held_back(data)[1])
    assert mean == 0.0
    assert (
        evaluate(selector, Deaf(), data, 4).score < evaluate(Grid(1, SIZE), Deaf(), data, 4).score
    )
    assert bright.mean() < 1


class Dark(Scores):
    """Scores that are high where the picture is dark."""

    def forward(self, seen: Seen) -> Tensor:
        return 9 * (1 - seen.image)


def test_few_pixels_in_many_rounds_have_a_loss() -> None:
    data = scenes(4)
    for seed in range(12):
        selector, predictor = fresh(data)
        recipe = replace(RECIPE, batch_size=1)
        train(selector, predictor, data, 3, recipe=recipe, rounds=3, seed=seed)


def test_the_same_objects_go_on(tmp_path: Path) -> None:
    data = scenes()
    selector, predictor = fresh(data)

    def stop(state: dict[str, Any]) -> None:
        if state["epoch"] == 12:
            raise Stopped

    path = tmp_path / "state.pt"
    with pytest.raises(Stopped):
        train(selector, predictor, data, 5, recipe=RECIPE, checkpoint=path, progress=stop)
    history = train(selector, predictor, data, 5, recipe=RECIPE, checkpoint=path).history
    assert history[-1]["step"] == 13


def test_what_has_no_weights_is_left_alone_or_refused() -> None:
    data = scenes(4)
    selector, _ = fresh(data)

    class Values(nn.Module):
        def forward(self, image: Tensor, values: Tensor, mask: Tensor) -> Tensor:
            return values

    train(selector, Values(), data, 4, recipe=RECIPE)
    with pytest.raises(SettingError, match="nothing to train"):
        train(Grid(1, SIZE), Values(), data, 4, recipe=RECIPE)
    with pytest.raises(SettingError, match="pair"):
        train(selector, Values(), data, (4,), recipe=RECIPE)  # pyright: ignore[reportArgumentType]
    with torch.no_grad():
        next(selector.parameters()).fill_(float("nan"))
    with pytest.raises(DataError, match="scores are NaN"):
        selector(data.images, 4)


def test_rare_classes_count_more_and_the_mean_stays_one() -> None:
    target = torch.tensor([0] * 90 + [1] * 10).reshape(1, 1, 10, 10)
    valid = torch.ones_like(target).bool()
    weigh = Segmentation(3).balanced(target, valid, 0.5)
    found = weigh(target)
    assert float(found.mean()) == pytest.approx(1.0)
    rare, common = float(found[target == 1][0]), float(found[target == 0][0])
    assert rare / common == pytest.approx(3.0)  # the root of 9
    assert torch.isfinite(weigh(torch.full_like(target, 255))).all()
    plain = Depth().balanced(target.float(), valid, 0.5)
    assert torch.equal(plain(target.float()), torch.ones(1, 1, 10, 10))


def test_void_and_few_pictures_do_no_harm() -> None:
    images = torch.rand(3, 3, *SIZE)
    classes = torch.randint(0, 2, (3, 1, *SIZE))
    valid = torch.rand(3, 1, *SIZE) < 0.5
    data = Scenes(images, torch.where(valid, classes, 255), valid, Segmentation(2))
    selector, predictor = fresh(data)
    history = train(selector, predictor, data, 20, recipe=RECIPE).history
    assert all(abs(block["loss"]) < float("inf") for block in history)


def test_shares_of_nothing_leave_a_stage_out() -> None:
    data = scenes()
    for share, stages in ((0.0, {"gains", "both"}), (1.0, {"predictor", "gains"})):
        selector, predictor = fresh(data)
        recipe = replace(RECIPE, gains=GainSettings(share=share))
        history = train(selector, predictor, data, 5, recipe=recipe).history
        assert {block["stage"] for block in history} == stages


@pytest.mark.parametrize(
    "change",
    [{"share": 1.5}, {"steps": 0}, {"bound": 0.0}, {"outlier": float("nan")}],
)
def test_settings_that_cannot_be(change: dict[str, Any]) -> None:
    with pytest.raises(SettingError):
        GainSettings(**change)
