"""A fit whose scale is chosen by the privacy that is asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import sfumato as sf
from sfumato.errors import SettingError, StoreError
from sfumato.obfuscation import bottleneck
from sfumato.privacy.certificate import certify
from tests.obfuscation import tiny
from tests.obfuscation.fitting import SETTINGS, changed, fitted, start, state, trained


def bounded() -> sf.Obfuscator:
    return start(kind="additive", bound=(0.0, 1.0))


@pytest.mark.parametrize("releases", [1, 3])
def test_the_target_is_reached_and_only_the_location_learns(releases: int) -> None:
    obfuscator = bounded()
    layer: Any = obfuscator.layer
    fitted(obfuscator, target_epsilon=8.0, delta=1e-5, releases=releases, labels_known=True)
    found = certify(obfuscator, delta=1e-5, releases=releases).epsilon
    assert found is not None and found <= 8.0 and found == pytest.approx(8.0, rel=1e-3)
    assert bool(layer.weight[:, 0].any())
    raw = layer.weight[:, 1]
    assert torch.equal(raw, raw[:1, :1, :1, :1].expand_as(raw))


def test_behind_a_bottleneck_the_encoder_learns() -> None:
    obfuscator = bottleneck((1, 8, 8), 8, sigma=1.0, num_classes=tiny.CLASSES)
    model = nn.Sequential(nn.Flatten(), nn.Linear(8, tiny.CLASSES))
    before = state(obfuscator.pre)
    data = tiny.records()[0]
    sf.fit(obfuscator, model, data, settings=SETTINGS, target_epsilon=5.0, delta=1e-4)
    assert changed(obfuscator.pre, before)
    found = certify(obfuscator, delta=1e-4).epsilon
    assert found is not None and found <= 5.0 and found == pytest.approx(5.0, rel=1e-3)


@pytest.mark.parametrize(
    ("obfuscator", "settings", "message"),
    [
        (start(), {}, "no scale reaches an epsilon|comes from its kernels"),
        (start(kind="additive"), {}, "no scale reaches an epsilon"),
        (bounded(), {"target_epsilon": 50.0}, "says nothing"),
        (bounded(), {"target_epsilon": -1.0}, "epsilon"),
        (bounded(), {"target_epsilon": 1.0, "delta": 2.0}, "delta"),
        (bounded(), {"target_epsilon": 1.0, "releases": 0}, "releases"),
    ],
    ids=["kernels", "no bound", "vacuous", "negative", "delta", "releases"],
)
def test_what_cannot_be_certified_is_refused_before_the_fit(
    obfuscator: sf.Obfuscator, settings: Any, message: str
) -> None:
    before = state(obfuscator)
    with pytest.raises(SettingError, match=message):
        fitted(obfuscator, **{"target_epsilon": 1.0, **settings})
    assert not changed(obfuscator, before)


def test_it_resumes_and_other_targets_are_refused(tmp_path: Path) -> None:
    path, whole, resumed = tmp_path / "fit.checkpoint", bounded(), bounded()

    class Interrupt(Exception):
        pass

    def stop(_: Any) -> None:
        raise Interrupt

    asked: dict[str, Any] = {"target_epsilon": 8.0, "labels_known": True}
    expected = fitted(whole, **asked)
    with pytest.raises(Interrupt):
        fitted(bounded(), checkpoint=path, progress=stop, **asked)
    assert fitted(resumed, checkpoint=path, **asked) == expected
    assert resumed.digest() == whole.digest()
    with pytest.raises(StoreError, match="other settings"):
        fitted(bounded(), checkpoint=path, **{**asked, "target_epsilon": 4.0})


def test_a_target_and_an_identity_leave_nothing_to_learn() -> None:
    obfuscator = bounded()
    settings = replace(SETTINGS, location="identity")
    fitted(obfuscator, settings=settings, target_epsilon=8.0, labels_known=True)
    layer: Any = obfuscator.layer
    assert not bool(layer.weight[:, 0].any())


def test_a_layer_whose_blocks_nobody_knows_keeps_no_location() -> None:
    layer = sf.nn.Stochastic(nn.Conv2d(1, 2, 3, padding=1))
    with pytest.raises(SettingError, match="the location of a Stochastic cannot be kept"):
        sf.fit(
            sf.Obfuscator(layer),
            trained(),
            tiny.records()[0],
            settings=replace(SETTINGS, location="identity"),
        )
