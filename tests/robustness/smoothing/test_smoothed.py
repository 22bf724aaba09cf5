"""Certificates are exact where a closed form is known, and abstain where nothing can be said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal

import sfumato as sf
from sfumato.errors import DataError, SettingError, StoreError
from sfumato.robustness.draws import ExpectedModel
from sfumato.robustness.smoothing import ABSTAIN, Certificates, Smoothed


def linear() -> tuple[nn.Module, Tensor, Tensor]:
    """A linear classifier of two classes, records, and their exact distance to its boundary."""
    model = nn.Linear(4, 2)
    x = torch.randn(12, 4)
    with torch.no_grad():
        gap = model(x)[:, 1] - model(x)[:, 0]
        slope = (model.weight[1] - model.weight[0]).norm()
    return model, x, gap / slope


class Coin(nn.Module):
    """Its class is a toss for each record."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.randn(len(x), 2)


def test_the_radius_of_a_linear_classifier_is_its_distance() -> None:
    model, x, distance = linear()
    labels = (distance > 0).long()
    sigma, n, alpha = 0.8, 5000, 0.001
    found = Smoothed(model, sigma).certify(x, labels, n0=100, n=n, alpha=alpha)
    sure = found.predictions != ABSTAIN
    # Each statement is false with probability alpha: a false alarm in 1.2 % of all seeds.
    assert bool((found.radii <= distance.abs() + 1e-6).all())
    assert torch.equal(found.predictions[sure], labels[sure])
    # g's exact radius is the distance; that of the bound is a few standard errors of p below it.
    p = Normal(0.0, 1.0).cdf(distance.abs() / sigma).double()
    least = p - 6 * (p * (1 - p) / n).sqrt() - 10 / n
    reached = sigma * torch.special.ndtri(least.clamp(0.5, 1 - 10 / n))
    assert bool((found.radii >= reached)[p > 0.55].all())  # P(false alarm) < 12 · 1e-3
    assert bool(sure[p > 0.6].all())


def test_training_it_is_training_on_noise() -> None:
    model, x, _ = linear()
    smoothed = Smoothed(model, 0.5)
    noisy = torch.stack([smoothed.noise(x) for _ in range(400)]) - x
    # 19,200 draws: a deviation of 4 standard errors has probability 6e-5
    assert abs(float(noisy.std()) - 0.5) < 4 * 0.5 / (2 * noisy.numel()) ** 0.5
    assert not torch.equal(smoothed(x), smoothed(x))
    with sf.sampling(smoothed, "mean"):
        assert torch.equal(smoothed(x), model(x))
    assert list(smoothed.state_dict()) == ["model.weight", "model.bias"]
    assert ExpectedModel(smoothed, 3).sample(x).shape == (3, 12, 2)


def test_noise_is_drawn_whatever_the_mode() -> None:
    model, x, _ = linear()
    smoothed = Smoothed(model, 50.0)
    for mode in ("mean", 8):
        with sf.sampling(smoothed, mode):
            counts = smoothed.counts(x[:2], 400)
        assert int(counts.min()) > 100  # nearly a coin: below it with probability < 1e-20


def test_a_coin_makes_it_abstain() -> None:
    x, labels = torch.zeros(40, 3), torch.zeros(40, dtype=torch.int64)
    smoothed = Smoothed(Coin(), 0.5)
    # Each fails to abstain with probability 1e-4 (the test) and 5e-5 (the bound): 0.6 % in all.
    assert bool((smoothed.predict(x, n=100, alpha=1e-4) == ABSTAIN).all())
    found = smoothed.certify(x, labels, n0=10, n=100, alpha=5e-5)
    assert found.abstained == 1.0
    assert found.accuracy() == 0.0
    assert float(found.radii.max()) == 0.0


def test_what_is_sure_is_predicted() -> None:
    model, x, distance = linear()
    far = x[distance.abs() > 0.3]
    predicted = Smoothed(model, 0.05).predict(far, n=100)
    assert torch.equal(predicted, (distance[distance.abs() > 0.3] > 0).long())


def test_one_class_is_sure() -> None:
    smoothed = Smoothed(nn.Linear(3, 1), 0.5)
    assert smoothed.predict(torch.zeros(2, 3), n=20).tolist() == [0, 0]


def test_the_network_is_evaluated_and_left_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))
    smoothed = Smoothed(model.train(), 0.5)
    before = {name: value.clone() for name, value in smoothed.state_dict().items()}
    counts = smoothed.counts(torch.randn(3, 4), 25, max_batch=7)
    assert counts.sum(1).tolist() == [25, 25, 25]
    assert all(module.training for module in smoothed.modules())
    assert all(torch.equal(before[name], value) for name, value in smoothed.state_dict().items())


def test_drawn_weights_are_drawn_for_every_copy() -> None:
    flip = sf.convert(nn.Linear(1, 2, bias=False), {"": {"kind": "bayesian", "scale": 1.0}})
    with torch.no_grad():
        for name, parameter in flip.named_parameters():
            if float(parameter.max()) != float(parameter.min()) or "raw" not in name:
                parameter[:2] = 0.0
    counts = Smoothed(flip, 0.01).counts(torch.ones(1, 1), 100)
    # One draw of the weights for all copies would give 0 or 100; outside 10 to 90: P < 1e-15.
    assert 10 < int(counts[0, 0]) < 90


class Stopped(Exception):
    pass


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    model, x, distance = linear()
    labels, path = (distance > 0).long(), tmp_path / "certificates.json"
    smoothed = Smoothed(model, 0.5)
    whole = smoothed.certify(x, labels, 20, 200)

    def stop(event: dict[str, Any]) -> None:
        if event["epoch"] == 5:
            raise Stopped

    with pytest.raises(Stopped):
        smoothed.certify(x, labels, 20, 200, path=path, progress=stop)
    seen: list[int] = []
    again = smoothed.certify(
        x, labels, 20, 200, path=path, progress=lambda event: seen.append(event["epoch"])
    )
    assert seen == [6, 7, 8, 9, 10, 11, 12]
    assert torch.equal(again.radii, whole.radii)
    assert torch.equal(again.predictions, whole.predictions)
    with torch.no_grad():
        model.weight.add_(1.0)  # type: ignore[operator, union-attr]
    with pytest.raises(StoreError, match="another model"):
        smoothed.certify(x, labels, 20, 200, path=path)
    path.write_text('{"tag": 1}')
    with pytest.raises(StoreError):
        smoothed.certify(x, labels, 20, 200, path=path)


def test_certified_accuracy() -> None:
    found = Certificates(
        predictions=torch.tensor([0, 1, ABSTAIN, 1]),
        radii=torch.tensor([0.5, 2.0, 0.0, 1.0], dtype=torch.float64),
        labels=torch.tensor([0, 1, 1, 0]),
        sigma=0.5, n0=10, n=100, alpha=0.001,
    )  # fmt: skip
    assert found.curve((0, 0.5, 0.51, 2.0, 2.1)) == [0.5, 0.5, 0.25, 0.25, 0.0]
    assert found.abstained == 0.25
    assert found.average_radius == pytest.approx(2.5 / 4)
    assert found.largest == pytest.approx(0.5 * 1.500475, abs=1e-6)
    assert 0 <= found.accuracy_bound(0.5) < 0.5
    again = Certificates.from_json(found.to_json())
    assert again.curve((0, 1)) == found.curve((0, 1))
    assert (again.sigma, again.n) == (0.5, 100)
    with pytest.raises(SettingError, match="a radius must be at least 0"):
        found.accuracy(-1)
    with pytest.raises(SettingError, match="rho must lie inside"):
        found.accuracy_bound(1.0, rho=0.0)


def test_what_cannot_be() -> None:
    x, labels = torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64)
    smoothed = Smoothed(nn.Linear(3, 2), 0.5)
    for sigma in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(SettingError, match="sigma must be a number above 0"):
            Smoothed(nn.Linear(3, 2), sigma)
    for settings in ({"n0": 0}, {"n": 0}, {"alpha": 0.0}, {"alpha": 1.0}, {"max_batch": 0}):
        with pytest.raises(SettingError):
            smoothed.certify(x, labels, **settings)  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="n and max_batch"):
        smoothed.predict(x, n=0)
    with pytest.raises(SettingError, match="alpha must lie inside"):
        smoothed.predict(x, alpha=2.0)
    with pytest.raises(DataError, match="cannot be certified"):
        smoothed.certify(x[:0], labels[:0])
    with pytest.raises(DataError, match="cannot be certified"):
        smoothed.certify(x, labels[:1])
    with pytest.raises(DataError, match="NaN or infinity"):
        smoothed.certify(x * float("nan"), labels, n0=1, n=1)
