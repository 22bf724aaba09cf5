"""A fit that is interrupted, one that belongs to another, and what cannot be fitted."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import sfumato as sf
from sfumato.data.records import Records
from sfumato.errors import DataError, SettingError, StoreError
from sfumato.obfuscation import FitSettings
from sfumato.train import Recipe
from tests.obfuscation import tiny
from tests.obfuscation.fitting import SETTINGS, SHORT, fitted, start, trained


def test_an_interrupted_fit_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    class Interrupt(Exception):
        pass

    whole = start()
    expected = fitted(whole)
    for number in range(4):
        path, seen = tmp_path / f"{number}.checkpoint", 0

        def progress(_: Any, number: int = number) -> None:
            nonlocal seen
            seen += 1
            if seen == number + 1:
                raise Interrupt

        with pytest.raises(Interrupt):
            fitted(start(), checkpoint=path, progress=progress)
        resumed, events = start(), []
        history = fitted(resumed, checkpoint=path, progress=events.append)
        assert len(events) == 3 - number
        assert resumed.digest() == whole.digest()
        assert history == expected


@pytest.mark.parametrize(
    "change",
    [
        {"knob": 2.0},
        {"objective": "max_entropy"},
        {"seed": 3},
        {"settings": replace(SETTINGS, label_penalty=0.5)},
        {"settings": replace(SETTINGS, kernels=replace(SHORT, lr=1e-3))},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_checkpoint_of_another_fit_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "fit.checkpoint"
    fitted(start(), checkpoint=path, labels_known=True)
    with pytest.raises(StoreError, match="belongs to a run with other settings"):
        fitted(start(), checkpoint=path, labels_known=True, **change)


@pytest.mark.parametrize(
    ("message", "change"),
    [
        ("unknown objective 'entropy'", {"objective": "entropy"}),
        ("the knob must be 0 or more, not -0.1", {"knob": -0.1}),
    ],
)
def test_settings_that_cannot_be(message: str, change: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=message):
        fitted(start(), **change)


def test_a_location_that_cannot_be() -> None:
    location: Any = "fixed"
    with pytest.raises(SettingError, match="'learned' or 'identity', not 'fixed'"):
        FitSettings(location=location)


def test_too_many_classes() -> None:
    data = tiny.records()[0]
    more = Records(data.inputs, data.labels, tuple("01234"))
    with pytest.raises(DataError, match="5 classes, the obfuscator 4"):
        sf.fit(start(), trained(), more, settings=SETTINGS)


def test_records_that_are_not_finite() -> None:
    data = tiny.records()[0]
    inputs = data.inputs.clone()
    inputs[3, 0, 0, 0] = math.nan
    broken = Records(inputs, data.labels, data.classes, "tiny")
    with pytest.raises(DataError, match="record 3 of tiny holds NaN"):
        sf.fit(start(), trained(), broken, settings=SETTINGS)


def test_divergence() -> None:
    wild = replace(SETTINGS, kernels=Recipe(epochs=20, min_steps=1, batch_size=64, lr=1e30))
    with pytest.raises(DataError, match="the fit diverged in epoch"):
        fitted(start(), settings=wild)
