"""An `ExpectedError` learns where its predictor errs, beside the predictor."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sfumato.errors import SettingError, StoreError
from sfumato.pixels.predictors import UNet
from sfumato.pixels.scenes import Scenes, inpainting
from sfumato.pixels.selectors import ExpectedError, Grid, Seen
from sfumato.pixels.tasks import Depth
from sfumato.pixels.training import PixelRecipe, train

SIZE = (8, 8)
RECIPE = PixelRecipe(steps=8, batch_size=4, checkpoint_every=3)


def scenes(count: int = 10) -> Scenes:
    generator = torch.Generator().manual_seed(3)
    return inpainting(torch.rand(count, 1, *SIZE, generator=generator))


def fresh(data: Scenes, **settings: Any) -> tuple[ExpectedError, UNet]:
    torch.manual_seed(5)
    selector = ExpectedError(data.channels, data.size, network={"width": 4}, **settings)
    return selector, UNet(data.channels, data.task, width=4, depth=1)


def weights(module: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in module.parameters()]


class Half(nn.Module):
    """Says 0 everywhere; where it was told it repeats the label."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Tensor] = []
        self.idle = nn.Parameter(torch.zeros(()))

    def forward(self, image: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        self.told.append(mask.detach().clone())
        return values + self.idle


def striped(count: int) -> Scenes:
    """Bright columns are far away and dark ones at 0, in other places in every picture."""
    generator = torch.Generator().manual_seed(1)
    bright = (torch.rand(count, 1, 1, SIZE[1], generator=generator) < 0.4).float()
    image = bright.expand(count, 1, *SIZE).contiguous()
    return Scenes(image, 3 * image, torch.ones_like(image).bool(), Depth())


def test_it_learns_where_the_predictor_errs() -> None:
    data = striped(32)
    selector, _ = fresh(data, share=0.25, spacing=1)
    recipe = PixelRecipe(steps=150, batch_size=16, lr=1e-9, selector_lr=1e-2, mirror=False)
    train(selector, Half(), data, 8, recipe=recipe, seed=0)
    test = striped(40).subset(slice(32, 40))
    with torch.no_grad():
        plain = torch.zeros_like(test.images)
        foreseen = selector.scores(Seen(test.images, plain, None, plain))
    # The loss is 9 where it is bright and 0 elsewhere; in units of the mean 1 / share and 0.
    errs = 1 / float((data.targets > 0).float().mean())
    assert float(foreseen[test.images > 0].mean()) == pytest.approx(errs, rel=0.25)
    assert abs(float(foreseen[test.images == 0].mean())) < 0.25 * errs
    mask = selector(test.images, 8)
    beside = mask - selector.grid(plain, 8)
    assert bool((test.images[beside > 0] > 0).all()) and beside.sum() == 6 * 8


def test_it_is_told_the_grid_alone_when_errors_are_foreseen() -> None:
    data, predictor = striped(4), Half()
    selector, _ = fresh(data, share=0.5)
    train(selector, predictor, data, 8, recipe=replace(RECIPE, steps=1))
    whole, grid = predictor.told[-2:]
    assert whole.sum((1, 2, 3)).tolist() == [8.0] * 4
    assert torch.equal(grid, selector.grid(torch.zeros_like(grid), 8))


def test_both_learn_and_exactly_k_is_bought() -> None:
    data = scenes()
    selector, predictor = fresh(data, values=data.task.channels, share=None)
    before = weights(selector), weights(predictor)
    history = train(selector, predictor, data, 6, recipe=RECIPE, rounds=2).history
    for old, module in zip(before, (selector, predictor), strict=True):
        assert any(not torch.equal(a, b) for a, b in zip(old, weights(module), strict=True))
    assert [block["step"] for block in history] == [3, 4, 7, 8]
    assert [block["stage"] for block in history] == ["shares", "shares", "errors", "errors"]
    assert history[1]["share"] == selector.share == selector.config()["share"]
    assert all(block["pixels"] == [6, 6.0, 6] for block in history)


class Stopped(Exception):
    pass


@pytest.mark.parametrize("at", [3, 4, 7])
@pytest.mark.parametrize("rounds", [1, 2])
def test_an_interrupted_training_ends_as_one_that_was_not(
    tmp_path: Path, rounds: int, at: int
) -> None:
    data = scenes()

    def go(path: Path, stop_at: int) -> list[Tensor]:
        selector, predictor = fresh(data, share=None)

        def stop(noted: dict[str, Any]) -> None:
            if noted["epoch"] == stop_at:
                raise Stopped

        train(
            selector, predictor, data, 6, recipe=RECIPE, rounds=rounds, checkpoint=path,
            progress=stop,
        )  # fmt: skip
        share = torch.tensor(float("nan") if selector.share is None else selector.share)
        return [share, *selector.state_dict().values(), *predictor.state_dict().values()]

    whole = go(tmp_path / "whole.pt", stop_at=-1)
    with pytest.raises(Stopped):
        go(tmp_path / "parts.pt", stop_at=at)
    parts = go(tmp_path / "parts.pt", stop_at=-1)
    assert all(torch.equal(a, b) for a, b in zip(whole, parts, strict=True))


def test_a_checkpoint_of_another_share_is_not_gone_on_from(tmp_path: Path) -> None:
    data = scenes()
    for share in (0.5, 0.75, None):
        selector, predictor = fresh(data, share=share)
        path = tmp_path / "training.pt"
        if share == 0.5:
            train(selector, predictor, data, 6, recipe=RECIPE, checkpoint=path)
        else:
            with pytest.raises(StoreError):
                train(selector, predictor, data, 6, recipe=RECIPE, checkpoint=path)


@pytest.mark.parametrize("told", [True, False])
def test_the_share_is_the_grid_unless_less_of_it_is_better(told: bool) -> None:
    """A column is far away; a label in it tells of the whole column, or of nothing."""

    class Columns(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.idle = nn.Parameter(torch.zeros(()))

        def forward(self, image: Tensor, values: Tensor, mask: Tensor) -> Tensor:
            known = values.amax(2, keepdim=True).expand_as(values) if told else values
            return known + self.idle

    data = striped(32)
    selector, _ = fresh(data, spacing=1, share=None)
    recipe = PixelRecipe(steps=200, batch_size=16, lr=1e-9, selector_lr=1e-2, mirror=False)
    before = selector(data.images, 4)
    assert torch.equal(before, Grid(1, SIZE)(data.images, 4))  # untrained it is the grid
    history = train(selector, Columns(), data, 4, recipe=recipe, seed=0).history
    assert (selector.share in (0.5, 0.75)) if told else (selector.share == 1.0), history


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_all_grid_and_no_grid_can_be_trained(share: float) -> None:
    data = scenes()
    selector, predictor = fresh(data, share=share)
    history = train(selector, predictor, data, 5, recipe=RECIPE).history
    assert all(0 < block["loss"] < float("inf") for block in history)


def test_a_price_is_refused() -> None:
    data = scenes()
    selector, predictor = fresh(data)
    with pytest.raises(SettingError, match="knows no price"):
        train(selector, predictor, data, weight=0.1, recipe=RECIPE)
