"""Joint training: what it learns, what it resumes, what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sfumato.errors import DataError, SettingError, StoreError
from sfumato.pixels.predictors import KernelInterpolation, UNet
from sfumato.pixels.scenes import Scenes, inpainting
from sfumato.pixels.schedules import NoiseSchedule, TemperatureSchedule
from sfumato.pixels.selectors import (
    Grid,
    GumbelMask,
    L1Mask,
    Probabilistic,
    Random,
    Stratified,
    Uncertainty,
)
from sfumato.pixels.tasks import Depth, Segmentation
from sfumato.pixels.training import GainSettings, PixelRecipe, buy, train

SIZE = (8, 8)
RECIPE = PixelRecipe(steps=8, batch_size=4, checkpoint_every=3, learning="gradient")


def scenes(count: int = 10) -> Scenes:
    generator = torch.Generator().manual_seed(3)
    return inpainting(torch.rand(count, 1, *SIZE, generator=generator))


def unet(found: Scenes) -> UNet:
    torch.manual_seed(5)
    return UNet(found.channels, found.task, width=4, depth=1)


def stratified(found: Scenes, **changes: Any) -> Stratified:
    torch.manual_seed(6)
    return Stratified(found.channels, found.size, **changes)


def weights(module: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in module.parameters()]


def same(first: list[Tensor], second: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_both_learn_and_exactly_k_is_bought() -> None:
    data = scenes()
    selector, predictor = stratified(data), unet(data)
    before = weights(selector), weights(predictor)
    trained = train(selector, predictor, data, k=5, recipe=RECIPE)
    assert not same(before[0], weights(selector)) and not same(before[1], weights(predictor))
    assert [block["step"] for block in trained.history] == [3, 6, 8]
    assert all(block["pixels"] == [5, 5.0, 5] for block in trained.history)
    assert not selector.training and not predictor.training


def test_the_selector_rests_while_the_predictor_warms_up() -> None:
    data = scenes()
    selector, predictor = stratified(data), unet(data)
    before = weights(selector)
    train(selector, predictor, data, k=5, recipe=replace(RECIPE, warm_up=1.0))
    assert same(before, weights(selector))


class Stopped(Exception):
    pass


@pytest.mark.parametrize("rounds", [1, 2])
def test_an_interrupted_training_ends_as_one_that_was_not(tmp_path: Path, rounds: int) -> None:
    data = scenes()

    def run(**more: Any) -> tuple[list[Tensor], list[dict[str, Any]]]:
        selector = stratified(data, values=1)
        predictor = unet(data)
        done = train(selector, predictor, data, (3, 9), recipe=RECIPE, rounds=rounds, **more)
        return weights(selector) + weights(predictor), done.history

    def stop(state: dict[str, Any]) -> None:
        if state["epoch"] == 6:
            raise Stopped

    path = tmp_path / "state.pt"
    with pytest.raises(Stopped):
        run(checkpoint=path, progress=stop)
    told: list[int] = []
    resumed, history = run(checkpoint=path, progress=lambda state: told.append(state["epoch"]))
    whole, whole_history = run()
    assert same(resumed, whole) and history == whole_history
    assert told == [8]


def test_the_seed_decides() -> None:
    data = scenes()
    found = []
    for seed in (0, 0, 1):
        predictor = unet(data)
        train(Random(1, SIZE), predictor, data, k=5, recipe=RECIPE, seed=seed)
        found.append(weights(predictor))
    assert same(found[0], found[1]) and not same(found[0], found[2])


def test_another_run_does_not_go_on_from_a_checkpoint(tmp_path: Path) -> None:
    data, path = scenes(), tmp_path / "state.pt"
    train(Grid(1, SIZE), unet(data), data, k=5, recipe=RECIPE, checkpoint=path)
    with pytest.raises(StoreError, match="other settings"):
        train(Grid(1, SIZE), unet(data), data, k=6, recipe=RECIPE, checkpoint=path)


class Peeking(nn.Module):
    """Keeps what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.seen: list[tuple[Tensor, Tensor]] = []

    def forward(self, image: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        self.seen.append((values.detach(), mask.detach()))
        return self.scale * values


def test_failed_measurements_are_paid_for_and_show_nothing() -> None:
    images = torch.rand(4, 1, *SIZE)
    valid = torch.rand(4, 1, *SIZE) < 0.5
    data = Scenes(images, torch.where(valid, 3.0, 77.0), valid, Depth())
    peeking = Peeking()
    trained = train(Random(1, SIZE), peeking, data, k=20, recipe=replace(RECIPE, mirror=False))
    shown = [float(mask.sum()) / len(mask) for _, mask in peeking.seen[1:]]
    assert trained.history[0]["pixels"] == [20, 20.0, 20]
    assert 0 < max(shown) < 20
    values = torch.cat([values for values, _ in peeking.seen])
    assert set(values.unique().tolist()) == {0.0, 3.0}


def test_bought_pixels_and_void_do_not_count_in_the_loss() -> None:
    images = torch.rand(4, 1, *SIZE)
    valid = torch.rand(4, 1, *SIZE) < 0.7
    data = Scenes(images, torch.where(valid, 2.0, torch.finfo().max / 1e9), valid, Depth())
    # Where something was bought it predicts the truth, elsewhere 0: the loss is 2² = 4 exactly.
    recipe = replace(RECIPE, steps=1, lr=1e-9)
    assert train(Grid(1, SIZE), Peeking(), data, 9, recipe=recipe).history[0]["loss"] == 4.0


@pytest.mark.parametrize("learning", ["gradient", "gains"])
@pytest.mark.parametrize("balance", [0.0, 0.5])
def test_rare_classes_count_more_in_the_loss(learning: Any, balance: float) -> None:
    """A predictor that always says class 0 with 9 to 1 is wrong for the rare class alone."""

    class Common(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.shift = nn.Parameter(torch.zeros(()))

        def forward(self, image: Tensor, values: Tensor, mask: Tensor) -> Tensor:
            likely = torch.tensor([0.9, 0.1]).log().reshape(1, 2, 1, 1)
            return likely.expand(len(image), 2, *image.shape[2:]) + self.shift * values

    classes = torch.zeros(4, 1, *SIZE, dtype=torch.int64)
    classes[..., 0] = 1  # an eighth of all pixels, and none that a grid of four buys
    data = Scenes(torch.rand(4, 1, *SIZE), classes, torch.ones(4, 1, *SIZE).bool(), Segmentation(2))
    recipe = replace(
        RECIPE, steps=1, lr=1e-9, balance=balance, learning=learning, mirror=False,
        gains=GainSettings(share=0.0, steps=1),
    )  # fmt: skip
    selector = Grid(1, SIZE) if learning == "gradient" else stratified(data)
    loss = train(selector, Common(), data, 4, recipe=recipe).history[-1]["loss"]
    share = torch.tensor([7 / 8, 1 / 8])
    weight = share**-balance / (share ** (1 - balance)).sum()
    left = torch.tensor([52.0, 8.0])  # of 64, less the four of the grid
    wanted = (left * weight * -torch.tensor([0.9, 0.1]).log()).sum() / 60
    assert loss == pytest.approx(float(wanted), rel=1e-5)


def test_later_rounds_see_the_labels_of_earlier_ones() -> None:
    data = scenes(3)
    seen: list[float] = []

    def predictor(image: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        seen.append(float(mask.sum()) / len(mask))
        return values + image

    selector = Uncertainty(1, SIZE, values=1, predictor=predictor, measure="variance", start=1.0)
    bought = buy(selector, data, [4, 3, 2])
    assert bought.paid.sum((1, 2, 3)).tolist() == [9, 9, 9]
    assert max(seen) < 8 and min(seen) < 4  # halves of 4, then of 7


def outliers(judges: float) -> tuple[float, float, float]:
    """A third of the pixels, the dark ones, are far off: how many are bought, and the losses."""
    shade = torch.rand(64, 1, 1, 1).expand(64, 1, *SIZE)
    bright = (torch.rand(64, 1, *SIZE) < 0.67).float()
    off = torch.where(torch.rand(64, 1, *SIZE) < 0.5, 4.0, -4.0)
    target = shade + (1 - bright) * off
    data = Scenes(bright, target, torch.ones_like(bright).bool(), Depth())
    selector = Stratified(1, SIZE, centre=0.0)
    predictor = KernelInterpolation(1, data.task, reach=0.5, colour=1e3)
    recipe = PixelRecipe(
        steps=60, batch_size=16, lr=1e-6, selector_lr=1e-2, warm_up=0.0, mirror=False,
        judges=judges, checkpoint_every=10, learning="gradient",
    )  # fmt: skip
    history = train(selector, predictor, data, 4, recipe=recipe).history
    with torch.no_grad():
        share = float((selector(data.images, 4) * (1 - bright)).sum()) / (4 * len(data))
    return share, history[0]["loss"], history[-1]["loss"]


@pytest.mark.parametrize("judges", [0.5, 1.0])
def test_a_selector_learns_to_leave_alone_what_tells_nothing_of_others(judges: float) -> None:
    share, first, last = outliers(judges)
    assert share < 0.1 and last < first  # at first 0.33


@pytest.mark.parametrize("kind", [Probabilistic, GumbelMask, L1Mask])
def test_a_price_moves_the_number_of_pixels(kind: Any) -> None:
    data = scenes()
    bought = []
    for weight in (0.0, 30.0):
        torch.manual_seed(2)
        selector = kind(1, SIZE)
        recipe = PixelRecipe(steps=12, batch_size=10, selector_lr=1e-2)
        done = train(selector, unet(data), data, weight=weight, recipe=recipe)
        with torch.no_grad():
            bought.append(float(selector.relaxed(data.images).mean()))
        least, mean, most = done.history[0]["pixels"]
        assert least <= mean <= most
    assert bought[1] < 0.5 * bought[0]


def test_steps_without_noise_follow_the_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    data, modes = scenes(4), []
    selector = GumbelMask(1, SIZE)
    relax = selector.relax

    def noted(logits: Tensor) -> Tensor:
        modes.append(selector.mode)
        return relax(logits)

    monkeypatch.setattr(selector, "relax", noted)
    train(selector, Peeking(), data, weight=1.0, recipe=replace(RECIPE, noise=NoiseSchedule(5)))
    assert [number for number, mode in enumerate(modes) if mode == "mean"] == [4]


def test_the_temperature_falls() -> None:
    data, seen = scenes(4), []

    class Noted(Peeking):
        def forward(self, image: Tensor, values: Tensor, mask: Tensor) -> Tensor:
            seen.append(selector.temperature)
            return super().forward(image, values, mask)

    selector = stratified(data)
    schedule = TemperatureSchedule(start=10.0, factor=0.9)
    train(selector, Noted(), data, 4, recipe=replace(RECIPE, batch_size=2, temperature=schedule))
    # An epoch is 2 steps; the first call is the check of the predictor.
    assert seen[1:] == pytest.approx([10, 10, 9, 9, 8.1, 8.1, 7.29, 7.29])


def test_what_cannot_be_trained_is_refused() -> None:
    data = scenes(4)
    with pytest.raises(SettingError, match="either k"):
        train(Grid(1, SIZE), unet(data), data)
    with pytest.raises(SettingError, match="either k"):
        train(Grid(1, SIZE), unet(data), data, 4, weight=1.0)
    with pytest.raises(SettingError, match="knows no price"):
        train(Grid(1, SIZE), unet(data), data, weight=1.0)
    with pytest.raises(SettingError, match="price of a pixel"):
        train(L1Mask(1, SIZE), unet(data), data, weight=-1.0)
    with pytest.raises(SettingError, match="budget"):
        train(Grid(1, SIZE), unet(data), data, 64)
    with pytest.raises(DataError, match="the selector is for"):
        train(Grid(3, SIZE), unet(data), data, 4)
    with pytest.raises(DataError, match="channels of labels"):
        train(stratified(data, values=3), unet(data), data, 4)
    with pytest.raises(SettingError, match="cannot be called"):
        train(Grid(1, SIZE), UNet(1, Segmentation(3)), data, 4)


def test_a_loss_that_explodes_is_told() -> None:
    data = scenes(4)
    with pytest.raises(DataError, match="learning rate"):
        train(Grid(1, SIZE), unet(data), data, 4, recipe=replace(RECIPE, lr=1e30))


@pytest.mark.parametrize(
    "change",
    [{"steps": 0}, {"lr": 0.0}, {"warm_up": 1.5}, {"judges": 0.0},
     {"weight_decay": -1.0}, {"balance": -0.5}, {"balance": float("nan")},
     {"checkpoint_every": 0}, {"learning": "luck"}],
)  # fmt: skip
def test_recipes_that_cannot_be(change: dict[str, Any]) -> None:
    with pytest.raises(SettingError):
        PixelRecipe(**change)
