"""Records in the directions of their classes: turned, turned back, hidden, kept."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import sfumato as sf
from sfumato.data.records import Records
from sfumato.errors import DataError, SettingError
from sfumato.obfuscation import directions, hidden, kept, shaped, turned

SPREAD = torch.tensor([3.0, 1.0, 0.5, 0.1])


def _records(count: int = 4000) -> Records:
    """Two classes, apart along all axes, with the same spread along turned ones."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 2
    inputs = torch.randn(count, 4, generator=draw) * SPREAD @ _turn() + 5.0 * labels.unsqueeze(1)
    return Records(inputs, labels, ("a", "b"))


def _turn() -> torch.Tensor:
    return torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(1)))[0]


def test_directions_are_those_within_the_classes() -> None:
    values, axes = directions(_records())
    # A variance of 4,000 normal values is off by 5 standard errors with a chance of 6e-7.
    assert torch.allclose(values, SPREAD.square(), rtol=5 * (2 / 4000) ** 0.5)
    assert torch.allclose(axes @ axes.T, torch.eye(4), atol=1e-5)
    assert torch.allclose((axes @ _turn().T).abs(), torch.eye(4), atol=0.1)


def test_shaped_noise_has_the_covariance_of_the_classes() -> None:
    records = _records()
    made = shaped(records, 2.0, shrink=1e-6)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        released = made.obfuscator.release(records.inputs, records.labels)
    noise = made.restore(released) - records.inputs
    found = torch.linalg.eigvalsh(noise.T @ noise / len(noise)).flip(0)
    assert torch.allclose(found, 4 * SPREAD.square(), rtol=0.15)
    assert torch.equal(made.view(records.inputs), records.inputs)


def test_full_shrinkage_is_isotropic_noise() -> None:
    records = _records()
    made = shaped(records, 2.0, shrink=1.0)
    law = made.obfuscator.distribution(records.inputs, records.labels)
    back = made.restore(torch.eye(4)).T
    covariance = back @ back.T * law.variance[0, 0].detach()
    assert torch.allclose(covariance, covariance[0, 0] * torch.eye(4), atol=1e-4)


@pytest.mark.parametrize("count", [1, 3, 4])
def test_kept_and_hidden_parts_make_up_the_record(count: int) -> None:
    records = _records(50)
    inside, outside = kept(records, 0.5, count), hidden(records, 0.5, count)
    together = inside.view(records.inputs) + outside.view(records.inputs)
    assert torch.allclose(together, records.inputs, atol=1e-4)
    location = inside.obfuscator.distribution(records.inputs, records.labels).mean
    assert location.shape == (50, count)
    assert torch.allclose(inside.restore(location), inside.view(records.inputs), atol=1e-4)


def test_hidden_directions_do_not_reach_the_release() -> None:
    records = _records(50)
    first = directions(records)[1][0]
    made = hidden(records, 0.5, 1)
    location = made.obfuscator.distribution(records.inputs, records.labels).mean
    moved = made.obfuscator.distribution(records.inputs + 7 * first, records.labels).mean
    assert torch.allclose(location, moved, atol=1e-4)


def test_turned_noise_can_be_fitted_saved_and_loaded(tmp_path: Path) -> None:
    records = _records(200)
    made = turned(records, 0.5)
    model = torch.nn.Sequential(made.restore, torch.nn.Linear(4, 2))
    recipe = sf.train.Recipe(epochs=1, min_steps=5, lr=1e-1)
    settings = sf.obfuscation.FitSettings(kernels=recipe, location="identity")
    before = made.obfuscator.distribution(records.inputs[:1]).stddev
    sf.fit(made.obfuscator, model, records, "information", 1.0, settings=settings)
    after = made.obfuscator.distribution(records.inputs[:1]).stddev
    assert (after > before).all()
    made.obfuscator.save(tmp_path)
    loaded = sf.Obfuscator.load(tmp_path, unaudited_ok=True)
    assert torch.equal(loaded.distribution(records.inputs[:1]).stddev, after)


def test_pictures_keep_their_shape() -> None:
    train, _ = sf.data.digits()
    part = train.subset(range(100))
    for made in (shaped(part, 1.0), hidden(part, 0.5, 3), kept(part, 0.5, 5), turned(part, 0.5)):
        released = made.obfuscator.release(part.inputs[:2], part.labels[:2])
        assert made.restore(released).shape == part.inputs[:2].shape
        assert made.view(part.inputs[:2]).shape == part.inputs[:2].shape


def test_bad_input_is_named() -> None:
    records = _records(20)
    with pytest.raises(SettingError, match="shrink"):
        shaped(records, 1.0, shrink=0.0)
    for count in (0, 5):
        with pytest.raises(SettingError, match="1 to 4 directions"):
            hidden(records, 0.5, count)
    with pytest.raises(DataError, match="at least two"):
        directions(records.subset([0]))
    broken = records.subset(range(20))
    broken.inputs[3, 1] = float("nan")
    with pytest.raises(DataError, match="NaN"):
        directions(broken)
    same = Records(torch.ones(4, 3), torch.tensor([0, 1, 0, 1]), ("a", "b"))
    with pytest.raises(DataError, match="do not differ"):
        shaped(same, 1.0)
