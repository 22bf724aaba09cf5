"""Fresh draws, counted as the law says, and what kind of model it is."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import sfumato as sf
from sfumato.robustness.evaluation.scoring import Scorer, has_mean_path, is_stochastic
from tests.robustness.evaluation.nets import Coin, noisy, plain


def normal(value: float) -> float:
    return 0.5 * (1 + math.erf(value / math.sqrt(2)))


def test_shares_are_those_of_the_law() -> None:
    """Φ(0.5) for a draw, Φ(0.5 √4) for an average of four; 6 standard errors: 2e-9."""
    x, labels = torch.rand(2000, 3), torch.zeros(2000, dtype=torch.long)
    found = Scorer(16, 4, 1000, True, False)(Coin(0.5), x, labels)
    assert set(found) == {"sampled", "averaged"}
    for name, edge, count in (("sampled", 0.5, 16), ("averaged", 1.0, 4)):
        wanted = normal(edge)
        error = math.sqrt(wanted * (1 - wanted) / (2000 * count))
        assert abs(float(found[name].mean()) - wanted) < 6 * error
    assert found["averaged"].unique().tolist() == [0, 0.25, 0.5, 0.75, 1]


def test_a_mean_path_is_scored_too() -> None:
    model, x = noisy(), torch.rand(20, 1, 8, 8)
    with sf.sampling(model, "mean"):
        labels = model(x).argmax(1)
    found = Scorer(8, 4, 64, True, True)(model, x, labels)
    assert found["mean"].tolist() == [1.0] * 20
    assert 0 < float(found["sampled"].mean()) <= 1


@pytest.mark.parametrize("rescoring", [1, 3, 100])
def test_without_noise_one_draw_says_all(rescoring: int) -> None:
    calls: list[int] = []
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    model.register_forward_pre_hook(lambda module, args: calls.append(len(args[0])))
    labels = torch.zeros(10, dtype=torch.long)
    Scorer(rescoring, 4, 64, False, False)(model, torch.rand(10, 4), labels)
    assert calls == [10]


def test_which_models_draw() -> None:
    x = torch.rand(5, 1, 8, 8)
    assert not is_stochastic(plain(), x) and not has_mean_path(plain())
    assert is_stochastic(noisy(), x) and has_mean_path(noisy())
    with sf.sampling(noisy(), "mean"):
        assert not is_stochastic(noisy(), x)
    dropout = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 3))
    assert not is_stochastic(dropout.train(), x)  # in evaluation, as it is attacked
    dropout.eval()[1].train()
    assert is_stochastic(dropout, x) and not has_mean_path(dropout)
