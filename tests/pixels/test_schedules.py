"""The schedules of the source, as plain numbers."""

from __future__ import annotations

import pytest
import torch

import sfumato as sf
from sfumato.errors import SettingError
from sfumato.pixels.schedules import NoiseSchedule, TemperatureSchedule
from sfumato.pixels.selectors import GumbelMask


def test_every_fifth_step_has_no_noise() -> None:
    schedule = NoiseSchedule()
    assert [step for step in range(1, 21) if not schedule.noisy(step)] == [5, 10, 15, 20]
    assert not any(NoiseSchedule(every=1).noisy(step) for step in range(1, 9))
    assert all(NoiseSchedule(every=0).noisy(step) for step in range(1, 9))


def test_the_mode_fits_sampling() -> None:
    selector, image = GumbelMask(1, (8, 8)), torch.rand(1, 1, 8, 8)
    for step, same in ((4, False), (5, True)):
        with sf.sampling(selector, NoiseSchedule().mode(step)):
            assert torch.equal(selector.relaxed(image), selector.relaxed(image)) is same


def test_the_temperature_falls_to_an_end() -> None:
    schedule = TemperatureSchedule()
    assert schedule(0) == 10
    assert schedule(10) == pytest.approx(10 * 0.9**10)
    assert schedule(1000) == schedule.lowest


@pytest.mark.parametrize(
    "make",
    [
        lambda: NoiseSchedule(every=-1),
        lambda: TemperatureSchedule(start=0),
        lambda: TemperatureSchedule(factor=1.1),
        lambda: TemperatureSchedule(lowest=0),
        lambda: TemperatureSchedule(start=float("nan")),
    ],
    ids=["every", "start", "factor", "lowest", "NaN"],
)
def test_settings_that_cannot_be(make) -> None:
    with pytest.raises(SettingError):
        make()
