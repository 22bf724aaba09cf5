"""Kernel interpolation against the plain sum over all bought pixels."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sfumato.errors import SettingError
from sfumato.pixels.predictors import KernelInterpolation
from sfumato.pixels.predictors.neighbourhood import kernel_average
from sfumato.pixels.selectors import Grid, Random
from sfumato.pixels.tasks import Depth, Segmentation
from sfumato.train import seeded


def plain(features: Tensor, values: Tensor, mask: Tensor, reach: float) -> Tensor:
    """The formula, pixel by pixel, over all bought pixels of one picture."""
    height, width = mask.shape[2:]
    spacing = (height * width / float(mask.sum())) ** 0.5
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = torch.stack([rows, columns]) / (reach * spacing)
    all_features = torch.cat([places, features[0]]).flatten(1).T.double()
    here = mask.flatten() > 0
    weights = (-0.5 * torch.cdist(all_features, all_features[here]).square()).exp()
    made = weights @ values[0].flatten(1).T.double()[here] / weights.sum(1, keepdim=True)
    return made.T.reshape(1, -1, height, width).float()


@pytest.mark.parametrize(("size", "k"), [((24, 24), 9), ((17, 23), 6), ((16, 16), 1)])
def test_on_a_grid_it_is_the_formula(size: tuple[int, int], k: int) -> None:
    mask = Grid(2, size)(torch.rand(1, 2, *size), k=k)
    features, target = torch.rand(1, 2, *size), torch.rand(1, 3, *size)
    found, _ = kernel_average(features, target * mask, mask, torch.tensor(0.3))
    reference = plain(features, target * mask, mask, 0.3)
    # What is further than two cells weighs exp(-½ (1.4 / 0.3)²) at most.
    assert torch.allclose(found, reference, atol=2e-3)


def test_a_flat_picture_with_one_label_takes_it_everywhere() -> None:
    for size in ((33, 47), (4, 4), (1, 9)):
        mask = torch.zeros(2, 1, *size)
        mask[:, :, -1, -1] = 1
        predictor = KernelInterpolation(1, Depth())
        made = predictor(torch.zeros(2, 1, *size), 3 * mask, mask)
        assert torch.allclose(made, torch.full_like(made, 3.0), atol=1e-3)


def test_without_labels_it_is_zero_and_finite() -> None:
    mask = torch.zeros(1, 1, 9, 11)
    made = KernelInterpolation(1, Depth())(torch.rand(1, 1, 9, 11), mask, mask)
    assert not bool(made.any())


def test_labels_stop_at_an_edge_of_colours() -> None:
    image = torch.zeros(1, 1, 16, 16)
    image[..., 8:] = 1
    mask = torch.zeros(1, 1, 16, 16)
    mask[0, 0, 8, 4] = mask[0, 0, 8, 12] = 1
    made = KernelInterpolation(1, Depth())(image, mask * (1 + 4 * image), mask)
    assert torch.allclose(made, 1 + 4 * image, atol=1e-3)


def test_classes_are_voted_for() -> None:
    task, mask = Segmentation(3), torch.zeros(1, 1, 8, 8)
    mask[0, 0, 2, 2] = mask[0, 0, 6, 6] = 1
    target = torch.full((1, 1, 8, 8), 1)
    target[..., 4:, 4:] = 2
    made = KernelInterpolation(1, task)(torch.zeros(1, 1, 8, 8), task.encode(target) * mask, mask)
    found = task.decode(made)
    assert found[0, 0, 0, 0] == 1 and found[0, 0, 7, 7] == 2


def test_pixels_that_are_not_bought_have_a_gradient() -> None:
    mask = Grid(1, (12, 12))(torch.rand(1, 1, 12, 12), k=9).requires_grad_()
    target = torch.rand(1, 1, 12, 12)
    predictor = KernelInterpolation(1, Depth())
    predictor(torch.rand(1, 1, 12, 12), target * mask, mask).square().sum().backward()
    assert mask.grad is not None and bool(torch.isfinite(mask.grad).all())
    assert float((mask.grad != 0).float().mean()) > 0.9


def test_it_does_better_than_the_mean_of_the_labels() -> None:
    rows = torch.linspace(0, 1, 20)[:, None].expand(20, 20)
    target = (rows * 3 + rows.T).reshape(1, 1, 20, 20)
    with seeded(0):  # over 60 seeds the share is 0.03 to 0.18, half of them below 0.055
        mask = Random(1, (20, 20))(target, k=30)
    made = KernelInterpolation(1, Depth(), colour=1e3)(target, target * mask, mask)
    left = mask == 0
    error = float((made - target)[left].detach().square().mean())
    assert error < 0.25 * float(target[left].var())


def test_many_labels_in_a_large_picture_need_little_memory() -> None:
    image = torch.rand(1, 3, 256, 256)
    mask = Random(3, (256, 256))(image, k=3277)
    with torch.no_grad():
        made = KernelInterpolation(3, Depth())(image, 2 * mask, mask)
    assert torch.allclose(made, torch.full_like(made, 2.0), atol=1e-3)


def test_widths_are_above_zero() -> None:
    with pytest.raises(SettingError, match="widths"):
        KernelInterpolation(1, Depth(), reach=0.0)


def test_a_picture_is_predicted_by_itself() -> None:
    """With failed measurements pictures of a batch have other numbers of labels, and spacings."""
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(5, 3, 20, 24, generator=generator)
    chances = torch.tensor([0.01, 0.05, 0.2, 0.5, 0.02])[:, None, None, None]
    mask = (torch.rand(5, 1, 20, 24, generator=generator) < chances).float()
    values = torch.rand(5, 1, 20, 24, generator=generator) * mask
    predictor = KernelInterpolation(3, Depth())
    together = predictor(image, values, mask)
    apart = [predictor(image[i : i + 1], values[i : i + 1], mask[i : i + 1]) for i in range(5)]
    assert torch.allclose(together, torch.cat(apart), atol=1e-5)
