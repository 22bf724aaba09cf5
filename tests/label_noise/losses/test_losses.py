"""Each loss against a reference that is written out, number by number, in float64."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

import sfumato as sf
from sfumato.errors import SettingError
from sfumato.label_noise import BootstrapHard, BootstrapSoft, Corrected, Forward
from sfumato.train import Batch, MaxEntropyLoss

LOGITS = torch.randn(7, 4, generator=torch.Generator().manual_seed(2)) * 2
LABELS = torch.tensor([0, 1, 2, 3, 0, 3, 2])
MATRIX = torch.tensor(
    [[0.6, 0.4, 0.0, 0.0], [0.1, 0.7, 0.1, 0.1], [0.0, 0.0, 1.0, 0.0], [0.0, 0.3, 0.2, 0.5]],
    dtype=torch.float64,
)


def batch(logits: torch.Tensor = LOGITS, labels: torch.Tensor = LABELS) -> Batch:
    return Batch(logits, labels, torch.arange(len(labels)), 0.0)


def chances(row: list[float]) -> list[float]:
    top = max(row)
    parts = [math.exp(each - top) for each in row]
    return [part / sum(parts) for part in parts]


def hard(row: list[float], label: int, beta: float) -> float:
    q = chances(row)
    return -beta * math.log(q[label]) - (1 - beta) * math.log(max(q))


def soft(row: list[float], label: int, beta: float) -> float:
    q = chances(row)
    return -sum((beta * (k == label) + (1 - beta) * q[k]) * math.log(q[k]) for k in range(len(q)))


def forward(row: list[float], label: int) -> float:
    q = chances(row)
    return -math.log(sum(q[k] * float(MATRIX[k, label]) for k in range(len(q))))


@pytest.mark.parametrize(("loss", "by_hand"), [(BootstrapHard, hard), (BootstrapSoft, soft)])
@pytest.mark.parametrize("beta", [0.0, 0.8, 0.95, 1.0])
def test_bootstrap(loss: Any, by_hand: Any, beta: float) -> None:
    rows = zip(LOGITS.double().tolist(), LABELS.tolist(), strict=True)
    expected = sum(by_hand(row, label, beta) for row, label in rows) / len(LABELS)
    assert float(loss(beta)(nn.Identity(), batch())) == pytest.approx(expected, rel=1e-5)


def test_usual_betas() -> None:
    assert (BootstrapHard().beta, BootstrapSoft().beta) == (0.8, 0.95)


@pytest.mark.parametrize("loss", [BootstrapHard, BootstrapSoft])
@pytest.mark.parametrize("beta", [-0.1, 1.5, math.nan])
def test_no_beta(loss: Any, beta: float) -> None:
    with pytest.raises(SettingError, match="beta"):
        loss(beta)


def test_forward() -> None:
    rows = zip(LOGITS.double().tolist(), LABELS.tolist(), strict=True)
    expected = sum(forward(row, label) for row, label in rows) / len(LABELS)
    assert float(Forward(MATRIX)(nn.Identity(), batch())) == pytest.approx(expected, rel=1e-5)


def test_forward_with_no_mistakes_is_the_task() -> None:
    none = torch.eye(4)
    for task in (BootstrapHard(0.8), BootstrapSoft(0.95)):
        plain = float(task(nn.Identity(), batch()))
        assert float(Forward(none, task)(nn.Identity(), batch())) == pytest.approx(plain, rel=1e-5)


def test_forward_is_probabilities() -> None:
    total = Corrected(nn.Identity(), MATRIX)(LOGITS).exp().sum(1)
    assert torch.allclose(total, torch.ones(7), atol=1e-6)


def test_forward_gradient() -> None:
    logits = LOGITS.double().requires_grad_()
    assert torch.autograd.gradcheck(Corrected(nn.Identity(), MATRIX), (logits,))


def test_a_label_that_the_matrix_rules_out_stays_finite() -> None:
    certain = torch.tensor([[0.0, 0.0, 60.0, 0.0]], requires_grad=True)
    loss = Forward(MATRIX)(nn.Identity(), batch(certain, torch.tensor([0])))
    loss.backward()
    assert float(loss.detach()) > 30
    assert certain.grad is not None
    assert bool(certain.grad.isfinite().all())


def test_se_snn_and_forward() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(sf.nn.StochasticLinear(4, 8), nn.ReLU(), nn.Linear(8, 4))
    both = MaxEntropyLoss(0.1, math.log(4), "sample", task=Forward(MATRIX))
    with sf.sampling(model, "mean"), torch.no_grad():
        with sf.record(model) as emitted:
            corrected = Forward(MATRIX)(model, batch())
        total = both(model, batch())
    rows = next(iter(emitted.log_scales.values())).double().tolist()
    entropy = sum(max(math.log(4) - sum(row) / len(row), 0) for row in rows) / len(rows)
    assert float(total) == pytest.approx(float(corrected) + 0.1 * entropy, rel=1e-5)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (torch.ones(2, 3) / 3, "square"),
        (torch.eye(2) * 0.5, "add up to 1"),
        (torch.tensor([[1.5, -0.5], [0.0, 1.0]]), "probabilities"),
        (torch.tensor([[torch.nan, 1.0], [0.0, 1.0]]), "probabilities"),
    ],
)
def test_no_matrix(matrix: torch.Tensor, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Forward(matrix)


@pytest.mark.parametrize("loss", [BootstrapHard(), BootstrapSoft(), Forward(MATRIX)])
def test_logits_that_do_not_fit(loss: Any) -> None:
    with pytest.raises(SettingError, match="logits"):
        loss(nn.Identity(), batch(LOGITS[:, :3]))
    with pytest.raises(SettingError, match="logits"):
        loss(nn.Identity(), batch(LOGITS.unsqueeze(2)))
