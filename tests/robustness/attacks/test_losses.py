"""The losses against numbers worked out by hand, and where their gradients vanish."""

from __future__ import annotations

import math

import pytest
import torch

from sfumato.errors import SettingError
from sfumato.robustness import ExpectedModel
from sfumato.robustness.attacks.gradient import GradientError, broken, slope
from sfumato.robustness.attacks.losses import cross_entropy, dlr, loss_named, margin

LOGITS = torch.tensor([[2.0, 1.0, -1.0, 0.0], [2.0, 1.0, -1.0, 0.0]])
LABELS = torch.tensor([0, 2])


def test_by_hand() -> None:
    total = math.log(math.e**2 + math.e + 1 / math.e + 1)
    torch.testing.assert_close(cross_entropy(LOGITS, LABELS), torch.tensor([total - 2, total + 1]))
    torch.testing.assert_close(margin(LOGITS, LABELS), torch.tensor([-1.0, 3.0]))
    torch.testing.assert_close(dlr(LOGITS, LABELS), torch.tensor([-0.5, 1.5]))


def test_the_ratio_does_not_know_scale_or_shift() -> None:
    torch.testing.assert_close(dlr(100 * LOGITS + 7, LABELS), dlr(LOGITS, LABELS))


def test_two_classes_have_no_ratio() -> None:
    with pytest.raises(SettingError, match="at least three classes"):
        dlr(LOGITS[:, :2], LABELS.clamp(max=1))
    with pytest.raises(SettingError, match="unknown loss 'hinge'"):
        loss_named("hinge")


class Blown(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 1e4 * x


@pytest.mark.parametrize(
    ("loss", "vanishes"), [("cross_entropy", True), ("margin", False), ("dlr", False)]
)
def test_blown_up_logits_leave_the_margin_alone(loss: str, vanishes: bool) -> None:
    x = torch.tensor([[0.9, 0.1, 0.2]])
    found = slope(ExpectedModel(Blown(), 1), x, torch.tensor([0]), loss)
    assert bool(found.gradient.eq(0).all()) is vanishes


def test_a_gradient_that_is_not_a_number_counts_as_none() -> None:
    class Rooted(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x - x.detach()).sqrt() + x[:, :1] * torch.tensor([1.0, 2.0, 3.0])

    x = torch.rand(2, 3)
    found = slope(ExpectedModel(Rooted(), 1), x, torch.tensor([0, 1]), "margin")
    assert bool(found.gradient.isfinite().all())


def test_a_model_without_gradient() -> None:
    class Blind(torch.nn.Module):
        @torch.no_grad()
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * x

    class Constant(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.weight.expand(len(x), 3)

    for model in (Blind(), Constant()):
        with pytest.raises(GradientError, match="use Square"):
            slope(ExpectedModel(model, 1), torch.rand(2, 3), torch.tensor([0, 1]), "margin")


def test_broken_for_certain() -> None:
    """The margin has the mean 1; its deviation is 0.1, then 1."""
    labels = torch.tensor([0])
    for spread, certain in ((0.1, True), (1.0, False)):
        offsets = spread * torch.tensor([-1.0, 1.0, -1.0, 1.0])
        sample = torch.stack([torch.tensor([[0.0, 1.0 + float(each)]]) for each in offsets])
        assert bool(broken(sample, labels)) is certain
    assert bool(broken(torch.tensor([[[0.0, 1.0]]]), labels))
