"""Each defence is the network it says, with the loss of its paper."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import sfumato as sf
from sfumato.errors import SettingError
from sfumato.robustness.defences import (
    Adversarial,
    BottleneckLoss,
    ConsistencyLoss,
    Trades,
    WeightDivergenceLoss,
    adv_bnn,
    plain,
    se_snn,
    vib,
)
from sfumato.train import Batch, MaxEntropyLoss, Recipe, cross_entropy, mlp, train_classifier
from tests.train.toys import problem


def net() -> nn.Module:
    return mlp((6,), 2, (8, 8, 4))


def batch(count: int = 16) -> Batch:
    x, labels = problem(count)
    return Batch(x, labels, torch.arange(count), 1.0)


def stochastic(model: nn.Module) -> dict[str, Any]:
    return {k: m for k, m in model.named_modules() if isinstance(m, sf.nn.StochasticModule)}


def test_plain_is_the_model_itself() -> None:
    model = net()
    defence = plain(model)
    assert defence.model is model
    assert defence.loss is cross_entropy


@pytest.mark.parametrize("make", [se_snn, vib])
def test_the_third_layer_is_stochastic_and_the_mean_is_the_model(make: Any) -> None:
    model, x = net(), batch().x
    made = make(model).model
    assert list(stochastic(made)) == ["5"]
    assert not stochastic(model)
    with sf.sampling(made, "mean"):
        torch.testing.assert_close(made(x), model(x))
    assert not torch.equal(made(x), made(x))
    scales = stochastic(made)["5"].params(torch.randn(64, 8))[1].detach()
    assert (
        float((scales.std(0) / scales.mean(0)).min()) > 0.01
    )  # noise that depends on the record, from the start
    assert list(stochastic(make(model, "3").model)) == ["3"]


def test_se_snn_is_the_papers() -> None:
    assert se_snn(net()).loss == MaxEntropyLoss(0.1, math.log(16), "element")
    assert se_snn(net(), margin=16.0).loss == MaxEntropyLoss(0.1, 16.0, "element")


def test_vib_starts_with_little_noise() -> None:
    x = torch.randn(64, 8)
    noisy, quiet = (
        stochastic(make(net()).model)["5"].params(x)[1].detach() for make in (se_snn, vib)
    )
    assert float(quiet.mean()) < 0.1 * float(noisy.mean())


def test_a_convolution_can_be_the_layer() -> None:
    model = sf.train.small_cnn((1, 8, 8), 3)
    made = se_snn(model, "3").model
    assert isinstance(stochastic(made)["3"], sf.nn.StochasticConv2d)
    assert made(torch.rand(2, 1, 8, 8)).shape == (2, 3)


def test_what_has_no_hidden_layer() -> None:
    with pytest.raises(SettingError, match="no hidden linear layer"):
        se_snn(nn.Sequential(nn.Flatten(), nn.Linear(6, 2)))
    with pytest.raises(SettingError, match="2 is a ReLU"):
        vib(net(), "2")
    with pytest.raises(SettingError):
        vib(net(), "nowhere")


def test_the_bottleneck_by_hand() -> None:
    made, some = vib(net()).model, batch()
    with sf.train.seeded(1):
        found = BottleneckLoss(0.3)(made, some)
    with sf.train.seeded(1), sf.record(made) as emitted:
        task = cross_entropy(made, some)
    location, scale = (p.detach().double() for p in emitted.params["5"])
    kl = 0.5 * (location**2 + scale**2 - 1) - scale.log()
    assert float(found.detach()) == pytest.approx(
        float(task.detach()) + 0.3 * float(kl.sum(1).mean()), rel=1e-5
    )
    made = sf.convert(net(), {"1": {"kind": "stochastic", "noise": sf.noise.Laplace()}})
    assert BottleneckLoss(0.1)(made, some).isfinite()
    with pytest.raises(SettingError, match="needs a stochastic layer"):
        BottleneckLoss(0.1)(net(), some)


def test_adv_bnn_is_attacked_and_held_near_its_prior() -> None:
    defence = adv_bnn(net(), 40, Adversarial(0.1, steps=2, bounds=None), alpha=0.5)
    loss = defence.loss
    assert isinstance(loss, Adversarial)
    assert loss.task == WeightDivergenceLoss(40, 0.5)
    found = WeightDivergenceLoss(40, 0.5)
    some = batch()
    with sf.train.seeded(1):
        both = found(defence.model, some)
    with sf.train.seeded(1):
        task = cross_entropy(defence.model, some)
    expected = 0.5 / 40 * float(sf.objectives.kl(defence.model).detach())
    assert float((both - task).detach()) == pytest.approx(expected, rel=1e-4)
    x, labels = problem()
    before = sf.objectives.kl(defence.model)
    train_classifier(
        defence.model, x, labels, Recipe(20, 1, 16, 1e-2), seed=0, loss=adv_bnn_loss(10.0)
    )
    assert float(sf.objectives.kl(defence.model).detach()) < float(before.detach())


def adv_bnn_loss(alpha: float) -> Adversarial:
    return Adversarial(0.1, steps=1, bounds=None, task=WeightDivergenceLoss(40, alpha))


def test_a_loss_that_needs_bayesian_layers() -> None:
    with pytest.raises(SettingError, match="needs Bayesian layers"):
        WeightDivergenceLoss(40)(net(), batch())
    with pytest.raises(SettingError, match="records must be at least 1"):
        WeightDivergenceLoss(0)


def test_every_defence_can_be_trained_adversarially_once() -> None:
    x, labels = problem()
    for attack in (Adversarial(0.1, steps=1, bounds=None), Trades(0.1, steps=1, bounds=None)):
        for defence in (plain(net()), se_snn(net()), vib(net())):
            both = defence.against(attack)
            assert both.loss.task == defence.loss  # type: ignore[union-attr]
            train_classifier(both.model, x, labels, Recipe(1, 1, 16), seed=0, loss=both.loss)
            with pytest.raises(SettingError, match="adversarially already"):
                both.against(attack)
    assert plain(net()).against(Adversarial(0.1)).name == "plain + PGD"
    assert se_snn(net()).against(Trades(0.1)).name == "SE-SNN + TRADES"


class Answers(nn.Module):
    """Gives the logits that it was made with, a draw after another."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, x: Tensor) -> Tensor:
        return self.logits.flatten(0, 1)[: len(x)]


def test_consistency_by_hand() -> None:
    logits, labels = torch.randn(3, 5, 4), torch.randint(4, (5,))
    some = Batch(torch.zeros(5, 1), labels, torch.arange(5), 0.0)
    found = ConsistencyLoss(3, weight=2.0, entropy=0.7)(Answers(logits), some)
    p = logits.double().softmax(2)
    mean = p.mean(0)
    task = sum(F.cross_entropy(one.double(), labels) for one in logits) / 3
    apart = (mean * (mean.log() - p.log())).sum(2).mean()
    entropy = -(mean * mean.log()).sum(1).mean()
    assert float(found) == pytest.approx(float(task + 2 * apart + 0.7 * entropy), rel=1e-5)
    same = logits[:1].expand(3, 5, 4)
    alike = ConsistencyLoss(3, weight=2.0, entropy=0.0)(Answers(same), some)
    assert float(alike) == pytest.approx(float(F.cross_entropy(same[0], labels)), rel=1e-5)
    for wrong in ({"draws": 1}, {"weight": -1.0}, {"entropy": -1.0}):
        with pytest.raises(SettingError):
            ConsistencyLoss(**wrong)  # type: ignore[arg-type]
