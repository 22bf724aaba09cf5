"""Which records are released: the hard ones, random ones, and never more than the share."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sfumato.data.records import Records
from sfumato.errors import DataError, SettingError
from sfumato.obfuscation import margins, worth_releasing


def _records(count: int = 100) -> Records:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(count, 3, generator=generator)
    return Records(inputs, torch.arange(count) % 2, ("a", "b"))


class _Knows(nn.Module):
    """The logit of class 0 is the first feature, that of class 1 its negative."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([x[:, 0], -x[:, 0]], 1)


def test_margin_is_own_logit_less_the_best_other() -> None:
    logits = torch.tensor([[3.0, 1.0, 2.0], [0.0, 4.0, 5.0]])
    found = margins(nn.Identity(), logits, torch.tensor([0, 1]))
    assert found.tolist() == [1.0, -1.0]


def test_margins_leave_the_mode_alone() -> None:
    model = nn.Sequential(nn.Dropout(), nn.Linear(3, 2)).train()
    first, second = (margins(model, _records().inputs, _records().labels) for _ in range(2))
    assert model.training
    assert torch.equal(first, second)


def test_hard_records_are_those_with_the_smallest_margin() -> None:
    records = _records()
    chosen = worth_releasing(_Knows(), records, 0.2, "hard")
    known = margins(_Knows(), records.inputs, records.labels)
    rest = torch.ones(len(records), dtype=torch.bool)
    rest[chosen] = False
    assert len(chosen) == 20
    assert known[chosen].max() <= known[rest].min()


def test_auto_is_random_for_a_poor_model_and_hard_for_a_good_one() -> None:
    records = _records()
    assert torch.equal(
        worth_releasing(_Knows(), records, 0.2), worth_releasing(_Knows(), records, 0.2, "random")
    )
    right = records.inputs[:, 0].gt(0).logical_not().long()
    known = Records(records.inputs, right, records.classes)
    assert torch.equal(
        worth_releasing(_Knows(), known, 0.2), worth_releasing(_Knows(), known, 0.2, "hard")
    )


def test_random_choice_follows_the_seed() -> None:
    first, again, other = (
        worth_releasing(_Knows(), _records(), 0.3, "random", seed=s) for s in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_share_of_one_releases_all_and_a_tiny_one_at_least_one() -> None:
    assert worth_releasing(_Knows(), _records(), 1.0, "hard").tolist() == list(range(100))
    assert len(worth_releasing(_Knows(), _records(), 1e-6)) == 1


@pytest.mark.parametrize("share", [0.0, -0.1, 1.5, float("nan")])
def test_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(SettingError, match="share"):
        worth_releasing(_Knows(), _records(), share)


def test_bad_input_is_named() -> None:
    with pytest.raises(SettingError, match="policy"):
        worth_releasing(_Knows(), _records(), 0.1, "best")  # pyright: ignore[reportArgumentType]
    with pytest.raises(DataError, match="no records"):
        worth_releasing(_Knows(), Records(torch.zeros(0, 3), torch.zeros(0).long(), ("a", "b")))
    broken = nn.Linear(3, 2)
    nn.init.constant_(broken.bias, float("nan"))
    with pytest.raises(DataError, match="logits"):
        worth_releasing(broken, _records(), 0.1, "hard")


class _Gives(nn.Module):
    """The same answer for any batch."""

    def __init__(self, answer: object) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, x: torch.Tensor) -> object:
        return self.answer


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (torch.zeros(100), r"must give logits \[B, C\], here \[100, 2\], not \[100\]"),
        (torch.zeros(100, 2, 4), r"not \[100, 2, 4\]"),
        (torch.zeros(1, 2), r"not \[1, 2\]"),
        ((torch.zeros(100, 2),), "not tuple"),
        (torch.zeros(100, 1), r"a logit for each of 2 classes, not .* \[100, 1\]"),
        (torch.zeros(100, 2).long(), "a logit for each of 2 classes, not torch.int64"),
    ],
)
def test_a_model_that_gives_no_logits(answer: object, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        worth_releasing(_Gives(answer), _records())


@pytest.mark.parametrize("model", [nn.Linear(4, 2), nn.LSTM(4, 2), nn.Embedding(2, 2)])
def test_a_model_that_cannot_take_the_records(model: nn.Module) -> None:
    with pytest.raises(DataError, match=r"cannot take records of shape \[3\]"):
        worth_releasing(model.train(), _records())
    assert model.training
