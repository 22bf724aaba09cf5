"""What holds for every predictor, and the check of a user's own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sfumato.errors import SettingError
from sfumato.pixels.predictors import KernelInterpolation, KernelUNet, UNet, check_predictor
from sfumato.pixels.tasks import Depth, Segmentation

KINDS = [UNet, KernelUNet, KernelInterpolation]


def inputs(size: tuple[int, int], shown: int) -> tuple[Tensor, Tensor, Tensor]:
    mask = (torch.rand(2, 1, *size) < 0.2).float()
    return torch.rand(2, 3, *size), torch.rand(2, shown, *size) * mask, mask


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(16, 16), (7, 9), (1, 1), (3, 20)])
def test_any_size(kind: Any, size: tuple[int, int]) -> None:
    made = kind(3, Segmentation(4))(*inputs(size, 4))
    assert made.shape == (2, 4, *size) and bool(torch.isfinite(made).all())


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_channels_are_named(kind: Any) -> None:
    image, values, mask = inputs((8, 8), 1)
    with pytest.raises(SettingError, match="takes a picture"):
        kind(3, Depth())(image[:, :1], values, mask)
    with pytest.raises(SettingError, match="takes a picture"):
        kind(3, Depth())(image, values, mask[:, :, :4])


@pytest.mark.parametrize("kind", [UNet, KernelUNet])
def test_not_bought_is_not_the_value_zero(kind: Any) -> None:
    image, values, mask = inputs((8, 8), 1)
    predictor = kind(3, Depth())
    none = predictor(image, 0 * values, 0 * mask)
    assert not torch.allclose(none, predictor(image, 0 * values, mask), atol=1e-4)


@pytest.mark.parametrize("kind", [UNet, KernelUNet])
def test_the_border_is_not_told_from_the_rest(kind: Any) -> None:
    flat = torch.full((1, 3, 16, 16), 0.3)
    nothing = torch.zeros(1, 1, 16, 16)
    made = kind(3, Depth(), depth=2)(flat, nothing, nothing)
    assert torch.allclose(made, made[:, :, :1, :1].expand_as(made), atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_learns(kind: Any) -> None:
    predictor = kind(3, Segmentation(3))
    predictor(*inputs((12, 12), 3)).square().mean().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in predictor.parameters())


def test_settings_make_the_same_network_again() -> None:
    first = UNet(3, Depth(), width=5, depth=1)
    again = UNet(3, Depth(), **first.settings())
    again.load_state_dict(first.state_dict())
    given = inputs((8, 8), 1)
    assert torch.equal(first(*given), again(*given))


def test_a_network_without_width_is_refused() -> None:
    with pytest.raises(SettingError, match="width"):
        UNet(3, Depth(), width=0)


class Own(nn.Module):
    def __init__(self, give: Any) -> None:
        super().__init__()
        self.give = give

    def forward(self, image: Tensor, values: Tensor, mask: Tensor) -> Any:
        return self.give(image, values, mask)


def test_a_users_own_predictor_is_tried() -> None:
    image = torch.rand(1, 3, 8, 8)
    own = Own(lambda image, values, mask: values + image[:, :1])
    own.train()
    check_predictor(own, image, Depth())
    assert own.training


@pytest.mark.parametrize(
    ("give", "message"),
    [
        (lambda image, values, mask: values[:, :, ::2], "must give"),
        (lambda image, values, mask: "nothing", "not str"),
        (lambda image, values, mask: image, "must give"),
        (lambda image, values, mask: values / values, "NaN"),
        (lambda image, values, mask: image @ values[0, 0, :3], "cannot be called"),
    ],
)
def test_a_users_wrong_predictor_is_told_why(give: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        check_predictor(Own(give), torch.rand(1, 3, 8, 8), Depth())
