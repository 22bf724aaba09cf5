"""Adversarial training learns from the worst records near, and leaves everything else alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import sfumato as sf
from sfumato.errors import DataError, SettingError
from sfumato.robustness.attacks import MarginPGD
from sfumato.robustness.defences import Adversarial, Trades
from sfumato.train import Batch, MaxEntropyLoss, Recipe, cross_entropy, train_classifier


def batch_of(x: Tensor, labels: Tensor, progress: float = 1.0) -> Batch:
    return Batch(x, labels, torch.arange(len(x)), progress)


class Counted(nn.Module):
    """A noisy network that keeps what it was called with, and its noise."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Flatten(), nn.Linear(6, 3))
        self.calls: list[Tensor] = []
        self.noise: list[Tensor] = []
        self.modes: list[bool] = []

    def forward(self, x: Tensor) -> Tensor:
        noise = torch.randn_like(x)
        self.calls.append(x.detach().clone())
        self.noise.append(noise)
        self.modes.append(self.training)
        return self.inner(x + 0.01 * noise)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_it_stays_in_the_ball_and_in_the_bounds(norm: Any) -> None:
    model, x, labels = Counted(), torch.rand(16, 1, 2, 3), torch.randint(3, (16,))
    near = Adversarial(0.3, steps=4, norm=norm).find(model, x, labels)
    offset = (near - x).flatten(1)
    length = offset.abs().amax(1) if norm == "linf" else offset.norm(dim=1)
    assert float(length.max()) <= 0.3 + 1e-6
    assert float(length.min()) > 0.01
    assert 0 <= float(near.min()) <= float(near.max()) <= 1
    assert not near.requires_grad
    free = Adversarial(0.3, steps=4, norm=norm, bounds=None).find(model, x, labels)
    assert float(free.min()) < 0


@pytest.mark.parametrize("loss", [Adversarial(0.1, steps=2), Trades(0.1, steps=2)])
def test_normalised_records_are_not_clamped_in_silence(loss: Any) -> None:
    model, x, labels = nn.Linear(5, 2), 2 * torch.randn(8, 5), torch.randint(2, (8,))
    with pytest.raises(DataError, match=r"outside of the bounds \(0.0, 1.0\)"):
        loss(model, batch_of(x, labels, 1.0))
    assert loss(model, batch_of(x.sigmoid(), labels, 1.0)) > 0


def test_against_a_linear_model_it_finds_the_closed_form() -> None:
    model = nn.Linear(5, 2)
    x, labels = torch.randn(8, 5), torch.randint(2, (8,))
    near = Adversarial(0.2, steps=20, bounds=None).find(model, x, labels)
    towards = model.weight[1 - labels] - model.weight[labels]
    torch.testing.assert_close(near, x + 0.2 * towards.sign())
    l2 = Adversarial(0.2, steps=20, step_size=2.0, bounds=None, norm="l2")
    near = l2.find(model, x, labels)
    torch.testing.assert_close(near, x + 0.2 * F.normalize(towards), atol=1e-4, rtol=1e-4)


def test_every_step_draws_afresh() -> None:
    model, x, labels = Counted(), torch.rand(4, 1, 2, 3), torch.randint(3, (4,))
    Adversarial(0.1, steps=5, draws=3)(model, batch_of(x, labels))
    assert [len(call) for call in model.calls] == [12] * 5 + [4]
    flat = torch.cat([noise.flatten(1) for noise in model.noise])
    assert len(flat.unique(dim=0)) == len(flat)


def test_fgsm_makes_one_step_from_a_random_start() -> None:
    model, x, labels = Counted(), torch.rand(4, 1, 2, 3), torch.randint(3, (4,))
    fast = Adversarial(0.1, attack="fgsm", steps=10)
    near = fast.find(model, x, labels)
    assert len(model.calls) == 1
    assert not torch.equal(model.calls[0], x)
    inside = (near > 0) & (near < 1)
    on_the_edge = ((near - x).abs() - 0.1).abs() < 1e-6  # 1.25 ε reaches it from most starts
    assert 0.5 < float(on_the_edge[inside].float().mean()) < 1


def test_the_model_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)).train()
    model[1].weight.requires_grad_(False)
    model[3].bias.grad = torch.ones(3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    x, labels = torch.rand(8, 1, 2, 3), torch.randint(3, (8,))
    Adversarial(0.1, steps=3).find(model, x, labels)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(module.training for module in model.modules())
    assert [p.requires_grad for p in model.parameters()] == [False, True, True, True, True, True]
    assert model[3].weight.grad is None
    assert torch.equal(model[3].bias.grad, torch.ones(3))


def test_the_search_runs_in_evaluation_and_the_loss_in_training() -> None:
    model = Counted().train()
    x, labels = torch.rand(4, 1, 2, 3), torch.randint(3, (4,))
    Adversarial(0.1, steps=2)(model, batch_of(x, labels)).backward()
    assert model.modes == [False, False, True]
    assert all(p.grad is not None for p in model.parameters())


def test_the_radius_grows() -> None:
    model, x, labels = Counted(), torch.rand(16, 1, 2, 3), torch.randint(3, (16,))
    loss = Adversarial(0.2, warm_up=0.5, bounds=None)
    assert torch.equal(loss.find(model, x, labels, 0.0), x)
    for progress, radius in ((0.25, 0.1), (0.5, 0.2), (0.9, 0.2)):
        offset = (loss.find(model, x, labels, progress) - x).abs()
        assert float(offset.max()) == pytest.approx(radius, abs=1e-6)
    at_once = Adversarial(0.2, warm_up=0, bounds=None).find(model, x, labels, 0.0)
    assert float((at_once - x).abs().max()) == pytest.approx(0.2, abs=1e-6)


def test_a_share_of_the_batch_is_attacked() -> None:
    model, x, labels = Counted(), torch.rand(10, 1, 2, 3), torch.randint(3, (10,))
    Adversarial(0.1, steps=1, share=0.25)(model, batch_of(x, labels))
    trained = model.calls[-1]
    assert torch.equal(trained[3:], x[3:])
    assert not torch.equal(trained[:3], x[:3])


def test_soft_labels_are_those_of_their_class() -> None:
    model = nn.Linear(5, 3)
    x, labels = torch.randn(8, 5), torch.randint(3, (8,))
    soft = F.one_hot(labels, 3).float()
    found = []
    for target in (soft, labels):
        with sf.train.seeded(0, "start"):
            found.append(Adversarial(0.2, bounds=None).find(model, x, target))
    torch.testing.assert_close(*found, atol=1e-5, rtol=1e-5)


def test_trades_is_the_task_and_the_divergence() -> None:
    model, x, labels = nn.Linear(5, 3), torch.randn(64, 5), torch.randint(3, (64,))
    batch = batch_of(x, labels)
    clean = cross_entropy(model, batch)
    assert torch.equal(Trades(0.2, beta=0.0, bounds=None)(model, batch), clean)
    apart = (Trades(0.2, beta=2.0, bounds=None)(model, batch) - clean) / 2
    p = model(x).double().log_softmax(1)
    random = []
    for _ in range(20):
        moved = model(x + 0.2 * torch.randn_like(x).sign()).double().log_softmax(1)
        random.append(float((p.exp() * (p - moved)).sum(1).mean().detach()))
    assert float(apart.detach()) > max(random)
    start = Trades(0.2, beta=2.0, bounds=None)(model, batch_of(x, labels, 0.0))
    torch.testing.assert_close(start, clean)


@pytest.mark.parametrize("make", [Adversarial, Trades])
def test_it_must_be_outermost(make: Any) -> None:
    model = nn.Sequential(sf.nn.StochasticLinear(4, 3))
    batch = batch_of(torch.rand(2, 4), torch.tensor([0, 1]))
    inside = MaxEntropyLoss(0.1, 1.0, "element", task=make(0.1, steps=1))
    with pytest.raises(SettingError, match="must be outermost"):
        inside(model, batch)
    outside = make(0.1, steps=1, task=MaxEntropyLoss(0.1, 1.0, "element"))
    assert outside(model, batch).isfinite()
    bayesian = sf.convert(nn.Linear(4, 3), {"": "bayesian"})
    with sf.record(bayesian), pytest.raises(SettingError, match="must be outermost"):
        make(0.1, steps=1)(bayesian, batch)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Adversarial(0.0), "epsilon must be above 0"),
        (lambda: Adversarial(float("nan")), "epsilon must be above 0"),
        (lambda: Adversarial(0.1, steps=0), "steps and draws must be at least 1"),
        (lambda: Adversarial(0.1, draws=0), "steps and draws must be at least 1"),
        (lambda: Adversarial(0.1, step_size=0.0), "step_size must be above 0"),
        (lambda: Adversarial(0.1, warm_up=1.5), "warm_up in"),
        (lambda: Adversarial(0.1, share=0.0), "share must be above 0"),
        (lambda: Adversarial(0.1, attack="cw"), "unknown attack"),  # type: ignore[arg-type]
        (lambda: Adversarial(0.1, norm="l1"), "unknown norm"),  # type: ignore[arg-type]
        (lambda: Adversarial(0.1, bounds=(1.0, 0.0)), "bounds are"),
        (lambda: Trades(0.1, beta=-1.0), "beta must be at least 0"),
        (lambda: Trades(0.1, steps=0), "steps and draws must be at least 1"),
    ],
)
def test_what_cannot_be(make: Any, words: str) -> None:
    with pytest.raises(SettingError, match=words):
        make()


def test_it_holds_where_plain_training_does_not() -> None:
    train, test = sf.data.digits()
    x, labels = test.inputs[:100], test.labels[:100]
    recipe = Recipe(epochs=15, min_steps=0, batch_size=64, lr=3e-3)
    right = {}
    for name, loss in (("plain", cross_entropy), ("trained", Adversarial(0.15, steps=3))):
        with sf.train.seeded(0, "model"):
            model = sf.train.mlp(train.shape, 10, (64,))
        train_classifier(model, train.inputs, train.labels, recipe, seed=0, loss=loss)
        near = MarginPGD(epsilon=0.15, steps=10)(model, x, labels)
        right[name] = sf.train.accuracy(model, near, labels)
    # seeded, so that this cannot fail by chance; the difference is about 0.25
    assert right["trained"] > right["plain"] + 0.12
