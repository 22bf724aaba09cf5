"""Learning from the unpruned network."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import sfumato as sf
from sfumato.compression import Distillation, collapse, stochastic
from sfumato.errors import SettingError
from sfumato.train import Batch, MaxEntropyLoss, mlp
from tests.compression.models import problem


def batch() -> Batch:
    inputs, labels = problem(12)
    return Batch(inputs, labels, torch.arange(12), 0.0)


def test_against_the_formula_in_float64() -> None:
    torch.manual_seed(1)
    student, teacher = mlp((6,), 3, (5,)).double(), mlp((6,), 3, (4,)).double()
    inputs, labels = problem(12)
    each = Batch(inputs.double(), labels, torch.arange(12), 0.0)
    logits, wanted, total = student(each.x).detach(), teacher(each.x).detach(), 0.0
    for row in range(12):
        task = math.log(sum(math.exp(v) for v in logits[row])) - float(logits[row, labels[row]])
        hot = [[math.exp(float(v) / 3) for v in z[row]] for z in (logits, wanted)]
        p, q = ([v / sum(values) for v in values] for values in hot)
        kl = sum(b * math.log(b / a) for a, b in zip(p, q, strict=True))
        total += 0.3 * task + 0.7 * 9 * kl
    found = Distillation(teacher, weight=0.7, temperature=3.0)(student, each)
    assert float(found.detach()) == pytest.approx(total / 12, rel=1e-12)


def test_only_the_student_learns_and_the_teacher_answers_on_its_mean_path() -> None:
    teacher, student = stochastic(mlp((6,), 3, (5,))).train(), mlp((6,), 3, (5,))
    loss = Distillation(teacher, 0.5, 2.0)
    assert torch.equal(loss(student, batch()), loss(student, batch()))
    loss(student, batch()).backward()
    assert all(p.grad is None for p in teacher.parameters())
    assert all(p.grad is not None for p in student.parameters())
    assert teacher.training


def test_the_student_hears_its_own_logits_back_at_no_loss() -> None:
    student = mlp((6,), 3, (5,))
    assert float(Distillation(student, 1.0, 2.0)(student, batch()).detach()) == pytest.approx(0)


def test_with_max_entropy() -> None:
    student = stochastic(mlp((6,), 3, (5,)))
    task = Distillation(collapse(student), 0.5)
    with sf.sampling(student, "mean"):
        alone = task(student, batch())
        both = MaxEntropyLoss(0.1, 2.0, "neuron", task)(student, batch())
    assert float(both.detach()) > float(alone.detach())


def test_wrong_settings() -> None:
    with pytest.raises(SettingError, match=r"not 1\.5"):
        Distillation(nn.Identity(), weight=1.5)
    with pytest.raises(SettingError, match="above 0, not 0"):
        Distillation(nn.Identity(), temperature=0)
    with pytest.raises(SettingError, match=r"the teacher gives \[12, 4\], the network \[12, 3\]"):
        Distillation(mlp((6,), 4))(mlp((6,), 3), batch())
