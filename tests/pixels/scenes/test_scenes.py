"""Scenes, their sizes, and any torch data set."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils.data import TensorDataset

from sfumato.errors import DataError, SettingError
from sfumato.pixels.evaluation import evaluate, label_leaks
from sfumato.pixels.predictors import KernelInterpolation
from sfumato.pixels.scenes import Scenes, digit_scenes, from_dataset, inpainting, open_scenes
from sfumato.pixels.scenes.resize import block_median, resize_picture, resize_target
from sfumato.pixels.selectors import Grid
from sfumato.pixels.tasks import Depth, Segmentation
from sfumato.pixels.training import PixelRecipe, train

IMAGES, METRES = torch.rand(4, 3, 6, 8), torch.rand(4, 1, 6, 8)
VALID = torch.ones(4, 1, 6, 8, dtype=torch.bool)


def test_a_subset_keeps_its_order_and_names() -> None:
    scenes = Scenes(IMAGES, METRES, VALID, Depth(), names=("a", "b", "c", "d"))
    some = scenes.subset([2, 0])
    assert some.names == ("c", "a") and torch.equal(some.targets, METRES[[2, 0]])
    assert len(scenes.subset(slice(1, None))) == 3 and scenes.pixels == 48


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": IMAGES[0]}, "at least one"),
        ({"images": IMAGES[:0]}, "at least one"),
        ({"images": torch.full_like(IMAGES, torch.nan)}, "NaN"),
        ({"images": (IMAGES * 255).byte()}, "floating"),
        ({"valid": VALID.float()}, "valid must be bool"),
        ({"valid": VALID[:, :, :3]}, "valid must be bool"),
        ({"targets": METRES[:2]}, "do not fit"),
    ],
)
def test_what_does_not_belong_together_is_refused(changes: dict[str, Any], message: str) -> None:
    parts: dict[str, Any] = {"images": IMAGES, "targets": METRES, "valid": VALID, "task": Depth()}
    with pytest.raises(DataError, match=message):
        Scenes(**{**parts, **changes})


def test_a_block_is_the_median_of_what_is_valid() -> None:
    target = torch.tensor([[[1.0, 2.0, 9.0, 0.0], [3.0, 0.0, 0.0, 0.0]]])
    valid = target > 0
    found, known = block_median(target, valid, (1, 2))
    assert found.tolist() == [[[2.0, 9.0]]] and known.tolist() == [[[True, True]]]
    none, unknown = block_median(target, torch.zeros_like(valid), (1, 2))
    assert none.tolist() == [[[0.0, 0.0]]] and not bool(unknown.any())


@pytest.mark.parametrize("size", [(4, 5), (3, 3), (1, 1), (12, 20)])
def test_any_size_of_a_constant_depth_is_that_depth(size: tuple[int, int]) -> None:
    found, known = resize_target(torch.full((1, 6, 8), 2.5), VALID[0], size, Depth())
    assert torch.equal(found, torch.full((1, *size), 2.5)) and bool(known.all())


def test_classes_are_never_mixed() -> None:
    plane = torch.tensor([[[0, 0, 4, 4], [0, 0, 4, 4]]])
    found, _ = resize_target(plane, plane >= 0, (1, 3), Segmentation(5))
    assert found.dtype == torch.int64 and set(found.flatten().tolist()) == {0, 4}


def test_pictures_are_averaged_over_areas() -> None:
    assert resize_picture(IMAGES[0], (3, 4))[:, 0, 0].allclose(IMAGES[0, :, :2, :2].mean((1, 2)))


def test_a_torch_data_set_with_and_without_valid() -> None:
    pairs = from_dataset(TensorDataset(IMAGES, METRES), Depth(), limit=3)
    assert len(pairs) == 3 and bool(pairs.valid.all())
    some = torch.rand(4, 1, 6, 8) < 0.5
    assert torch.equal(from_dataset(TensorDataset(IMAGES, METRES, some), Depth()).valid, some)


def test_what_is_not_finite_or_no_class_is_not_valid() -> None:
    holes = METRES.clone()
    holes[0, 0, 0, 0] = torch.nan
    found = from_dataset(TensorDataset(IMAGES, holes), Depth())
    assert not bool(found.valid[0, 0, 0, 0]) and int((~found.valid).sum()) == 1
    classes = torch.randint(0, 5, (4, 6, 8))
    maps = from_dataset(TensorDataset(IMAGES, classes), Segmentation(3))
    assert torch.equal(maps.valid[:, 0], classes < 3)


def test_items_of_another_kind_are_refused() -> None:
    with pytest.raises(DataError, match="not \\(picture, target\\)"):
        from_dataset(TensorDataset(IMAGES), Depth())
    with pytest.raises(DataError, match="high and wide"):
        from_dataset(TensorDataset(IMAGES, METRES[:, :, :3]), Depth())
    mixed: Any = [(IMAGES[0], METRES[0]), (IMAGES[0, :, :3], METRES[0, :, :3])]
    with pytest.raises(DataError, match="give a size"):
        from_dataset(mixed, Depth())
    assert from_dataset(mixed, Depth(), size=(3, 4)).size == (3, 4)
    with pytest.raises(SettingError, match="size"):
        from_dataset(mixed, Depth(), size=(0, 4))
    with pytest.raises(DataError, match="no pictures"):
        from_dataset(mixed, Depth(), limit=0)


def test_digits_show_a_coarse_picture_and_ask_for_the_sharp_one() -> None:
    scenes = digit_scenes("test")
    assert len(scenes) == 359 and scenes.size == (8, 8)
    block = scenes.images[:, :, :2, :2]
    assert torch.allclose(block, scenes.targets[:, :, :2, :2].mean((2, 3), keepdim=True))
    assert scenes.targets.std(0).max() > 0.2
    with pytest.raises(DataError, match="no split"):
        digit_scenes("validation")


def test_inpainting_of_odd_sizes() -> None:
    assert inpainting(torch.rand(2, 3, 5, 7), factor=2).size == (5, 7)
    with pytest.raises(DataError):
        inpainting(torch.rand(3, 5, 7))


def test_a_limit_is_spread_over_the_split() -> None:
    whole = open_scenes("digits", "test")
    some = open_scenes("digits", "test", limit=3)
    assert torch.equal(some.targets, whole.targets[[0, 119, 239]])
    with pytest.raises(SettingError, match="limit"):
        open_scenes("digits", limit=0)


def test_a_part_may_hold_nothing_that_is_known() -> None:
    valid = VALID.clone()
    valid[2] = False
    scenes = Scenes(IMAGES, METRES, valid, Depth())
    assert not scenes.subset([2]).valid.any()
    predictor = KernelInterpolation(3, Depth())
    recipe = PixelRecipe(steps=4, batch_size=1)
    train(Grid(3, (6, 8)), predictor, scenes, 4, recipe=recipe)
    found = evaluate(Grid(3, (6, 8)), predictor, scenes, 4, batch_size=1)
    assert found.failed == 1.0 and found.score > 0
    assert label_leaks(Grid(3, (6, 8)), scenes, 4) == []
    with pytest.raises(DataError, match="no picture"):
        scenes.subset([])
