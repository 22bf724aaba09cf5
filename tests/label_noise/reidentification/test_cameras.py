from __future__ import annotations

import pytest
import torch

from sfumato.errors import DataError, SettingError
from sfumato.label_noise.reidentification import (
    VirtualCamera,
    virtual_cameras,
    virtual_identities,
)

STILL = VirtualCamera(0.0, 1.0, (0.0, 0.0), (1.0,), 0.0, 0.0)


def test_every_identity_is_seen_by_every_camera() -> None:
    data = virtual_identities(torch.rand(5, 3, 8, 8), cameras=4, views=2)
    assert data.inputs.shape == (40, 3, 8, 8)
    assert data.inputs.dtype == torch.uint8
    pairs = list(zip(data.identities.tolist(), data.cameras.tolist(), strict=True))
    assert all(pairs.count((who, where)) == 2 for who in range(1, 6) for where in range(1, 5))


def test_a_still_camera_changes_nothing() -> None:
    pictures = torch.rand(3, 1, 6, 6)
    torch.testing.assert_close(STILL.look(pictures, jitter=0.0), pictures)


def test_a_camera_that_looks_aside_and_is_too_bright() -> None:
    picture = torch.zeros(1, 1, 4, 4)
    picture[..., 1] = 0.5
    moved = VirtualCamera(0.0, 1.0, (0.5, 0.0), (1.0,), 0.25, 0.0)
    expected = torch.full((1, 1, 4, 4), 0.25)
    expected[..., 2] = 0.75  # half a half width of four pixels is one pixel
    torch.testing.assert_close(moved.look(picture, jitter=0.0), expected)


def test_cameras_are_the_same_for_one_seed() -> None:
    assert virtual_cameras(3, 2, seed=1) == virtual_cameras(3, 2, seed=1)
    assert virtual_cameras(3, 2, seed=1) != virtual_cameras(3, 2, seed=2)
    pictures = torch.rand(2, 1, 6, 6)
    one, same, other = (virtual_identities(pictures, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.inputs, same.inputs)
    assert not torch.equal(one.inputs, other.inputs)


def test_views_of_one_camera_differ_by_the_jitter() -> None:
    pictures = torch.rand(4, 1, 16, 16)

    def apart(jitter: float) -> float:
        data = virtual_identities(pictures, cameras=1, views=2, jitter=jitter)
        first, second = data.inputs.float().split(4)
        return float((first - second).abs().mean())

    assert apart(0.1) < apart(1.0)


def test_what_cannot_be_seen() -> None:
    with pytest.raises(DataError, match=r"\[0, 1\]"):
        virtual_identities(torch.full((2, 1, 4, 4), 2.0))
    with pytest.raises(DataError, match=r"\[N, C, H, W\]"):
        virtual_identities(torch.zeros(2, 4))
    with pytest.raises(SettingError, match="views"):
        virtual_identities(torch.zeros(2, 1, 4, 4), views=0)
    with pytest.raises(SettingError, match="at least one camera"):
        virtual_identities(torch.zeros(2, 1, 4, 4), cameras=0)
