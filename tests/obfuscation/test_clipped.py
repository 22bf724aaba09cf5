"""The clipped bottleneck: within its ball, trainable, and on disk as it was."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import sfumato as sf
from sfumato.errors import DataError, SettingError, StoreError
from sfumato.obfuscation import bottleneck
from sfumato.privacy import certify

SHAPE = (1, 6, 6)


def clipped(obfuscator: sf.Obfuscator, x: Tensor) -> Tensor:
    """The norms of what the noise is added to."""
    with torch.no_grad():
        return obfuscator.distribution(x, torch.zeros(len(x)).long()).mean.double().norm(dim=1)


@pytest.mark.parametrize("clip", [0.3, 1.0, 100.0])
@pytest.mark.parametrize("size", [1e-4, 1.0, 1e6, 1e30])
def test_no_record_leaves_the_ball(clip: float, size: float) -> None:
    made = bottleneck(SHAPE, 8, 1.0, clip=clip, num_classes=2)
    norms = clipped(made, size * torch.randn(200, *SHAPE))
    assert bool((norms <= clip).all())
    if size == 1e6:  # at 1e30 the norm itself overflows, and the record becomes 0
        torch.testing.assert_close(norms, torch.full_like(norms, clip), rtol=1e-4, atol=0)


def test_a_record_within_the_ball_stays_as_it_is() -> None:
    x = torch.randn(5, 3) / 10
    assert torch.equal(sf.nn.ClipNorm(1.0)(x), x)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_clipping_holds_in_every_precision(dtype: torch.dtype) -> None:
    x = torch.cat([torch.randn(300, 3000), 1e-3 * torch.randn(300, 3000)]).to(dtype)
    y = sf.nn.ClipNorm(0.7)(x)
    assert y.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    norms = y.double().norm(dim=1)
    assert float(norms.max()) <= 0.7 and float(norms.max()) > 0.7 * (1 - 1e-3)


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e38])
def test_what_has_no_norm_becomes_zero(bad: float) -> None:
    x = torch.full((2, 40), bad)
    assert torch.equal(sf.nn.ClipNorm(1.0)(x), torch.zeros(2, 40))


def test_clipping_has_a_gradient() -> None:
    x = torch.tensor([[0.0, 0.0], [0.1, 0.2], [3.0, 4.0]], dtype=torch.float64, requires_grad=True)
    y = sf.nn.ClipNorm(1.0)(x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert bool(torch.isfinite(gradient).all())
    assert torch.equal(gradient[:2], torch.ones(2, 2).double())
    inner = torch.randn(3, 4, dtype=torch.float64) * 3
    assert torch.autograd.gradcheck(sf.nn.ClipNorm(1.0), inner.requires_grad_())


@pytest.mark.parametrize("radius", [0.0, -1.0, math.inf, math.nan])
def test_a_radius_that_cannot_be(radius: float) -> None:
    with pytest.raises(SettingError, match="radius must be above 0"):
        sf.nn.ClipNorm(radius)


def test_directions_are_orthonormal_or_principal() -> None:
    random = bottleneck(SHAPE, 8, 1.0).pre[0][1].weight.detach()  # type: ignore[index]
    torch.testing.assert_close(random @ random.T, torch.eye(8), rtol=0, atol=1e-5)
    basis = torch.linalg.qr(torch.randn(36, 36)).Q[:, :3]
    x = (torch.randn(400, 3) * torch.tensor([5.0, 3.0, 1.0])) @ basis.T + 7
    made = bottleneck(SHAPE, 3, 1.0, clip=2.0, records=x.reshape(-1, *SHAPE))
    norms = clipped(made, x.reshape(-1, *SHAPE))
    assert float((norms > 2 * (1 - 1e-4)).double().mean()) == pytest.approx(0.5, abs=0.01)
    weight = made.pre[0][1].weight.detach()  # type: ignore[index]
    inside = weight @ basis  # all of it lies in the three directions there are
    torch.testing.assert_close(inside.norm(), weight.norm(), rtol=1e-4, atol=0)


def test_a_fit_may_train_all_of_it() -> None:
    made = bottleneck(SHAPE, 4, 0.5, num_classes=3)
    made.obfuscate(torch.rand(6, *SHAPE), torch.arange(6) % 3).square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in made.parameters())


def test_an_encoder_of_ones_own() -> None:
    encoder = nn.Sequential(nn.Conv2d(1, 2, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 4))
    made = bottleneck(SHAPE, 4, 8.0, encoder=encoder)
    assert made.release(torch.rand(3, *SHAPE), torch.zeros(3).long()).shape == (3, 4)
    assert certify(made).certified


ENCODERS: dict[str, Any] = {
    "default": lambda: None,
    "convolutions": lambda: nn.Sequential(
        nn.Conv2d(1, 4, (3, 2), stride=2, padding=1, bias=False),
        nn.ReLU(),
        nn.MaxPool2d(2, stride=1, ceil_mode=True),
        nn.AvgPool2d(2, stride=1),
        nn.Flatten(),
        nn.LazyLinear(4),
        nn.Tanh(),
    ),
    "named": lambda: nn.Sequential(
        nn.Flatten(), nn.Unflatten(1, (6, 6)), nn.Flatten(1, -1), nn.Linear(36, 4, bias=False)
    ),
}


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("classes", [None, 3])
def test_it_comes_back_from_disk(name: str, classes: int | None, tmp_path: Path) -> None:
    made = bottleneck(SHAPE, 4, 8.0, num_classes=classes, encoder=ENCODERS[name](), secure=True)
    x, labels = torch.rand(5, *SHAPE), torch.arange(5) % 3
    made.release(x, labels)
    loaded = sf.Obfuscator.load(made.save(tmp_path / "made"), unaudited_ok=True)
    assert loaded.digest() == made.digest() and loaded.secure
    assert torch.equal(loaded.distribution(x, labels).mean, made.distribution(x, labels).mean)
    assert certify(loaded) == certify(made)


class Own(nn.Module):
    """An encoder that no file can describe."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)[:, :4]


@pytest.mark.parametrize("encoder", [Own(), nn.Sequential(nn.Flatten(), nn.LazyLinear(4))])
def test_what_no_file_describes_is_passed_again(encoder: nn.Module, tmp_path: Path) -> None:
    if not isinstance(encoder, Own):
        encoder.append(nn.LayerNorm(4))  # type: ignore[operator]
    made = bottleneck(SHAPE, 4, 8.0, encoder=encoder)
    made.release(torch.rand(2, *SHAPE), torch.zeros(2).long())
    folder = made.save(tmp_path / "made")
    with pytest.raises(StoreError, match=r"pass them as pre=\.\.\."):
        sf.Obfuscator.load(folder)
    loaded = sf.Obfuscator.load(folder, pre=made.pre, unaudited_ok=True)
    assert loaded.digest() == made.digest()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"features": 37}, r"features must lie in 1\.\.36"),
        ({"features": 0}, r"features must lie in 1\.\.36"),
        ({"sigma": 0.0}, "not above min_scale"),
        ({"clip": 0.0}, "radius must be above 0"),
        ({"encoder": nn.Flatten(), "records": torch.rand(9, *SHAPE)}, "leave them out"),
    ],
)
def test_settings_that_cannot_be(arguments: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"features": 4, "sigma": 1.0, **arguments}
    with pytest.raises(SettingError, match=message):
        bottleneck(SHAPE, **given)


@pytest.mark.parametrize(
    "records", [torch.rand(9, 36), torch.rand(3, *SHAPE), torch.ones(9, *SHAPE)]
)
def test_records_that_choose_no_direction(records: Tensor) -> None:
    with pytest.raises(DataError):
        bottleneck(SHAPE, 4, 1.0, records=records)
