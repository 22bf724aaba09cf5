"""What is trained: a method with its settings, under a law of label noise."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from sfumato.errors import SettingError
from sfumato.label_noise import (
    Entropy,
    InstanceFlips,
    LabelNoise,
    Method,
    OneStage,
    PatternedFlips,
    SymmetricFlips,
    TwoStage,
)
from sfumato.label_noise.methods import method_named

NOISES: dict[str, type[LabelNoise]] = {
    "patterned": PatternedFlips,
    "symmetric": SymmetricFlips,
    "instance": InstanceFlips,
}
_ENTROPY = ("weight", "margin", "over")


@dataclass(frozen=True)
class Point:
    """One method under one law of label noise.

    Args:
        noise: its name in `NOISES`.
        rate: p.
        method: its name in `sfumato.label_noise.METHODS`.
        weight: ω of max-entropy, where it is not the method's own.
        margin: b in nats, or as "log 4".
        over: eq. 5, 6 or 7: "neuron", "sample", "element".
        layers: the hidden layers that the method changes; all where None.
    """

    noise: str
    rate: float
    method: str
    weight: float | None = None
    margin: float | str | None = None
    over: str | None = None
    layers: tuple[str, ...] | None = None

    @property
    def name(self) -> str:
        """The point as a file name."""
        changed = {k: v for k, v in self.settings.items() if v is not None}
        parts = [f"{k}={_plain(v)}" for k, v in changed.items()]
        return f"{self.noise}/p-{self.rate:g}/{','.join([self.method, *parts])}"

    @property
    def settings(self) -> dict[str, Any]:
        """What is not as the method has it."""
        return {key: getattr(self, key) for key in (*_ENTROPY, "layers")}

    @property
    def law(self) -> LabelNoise:
        """The law of label noise."""
        return NOISES[self.noise](self.rate)

    def build(self) -> Method:
        """The method with these settings.

        Raises:
            SettingError: an unknown method or law, or max-entropy's settings where there is none.
        """
        if self.noise not in NOISES:
            raise SettingError(f"unknown noise {self.noise!r}: use one of {', '.join(NOISES)}")
        method = method_named(self.method)
        changed: dict[str, Any] = {k: getattr(self, k) for k in _ENTROPY}
        changed = {k: v for k, v in changed.items() if v is not None}
        if "margin" in changed:
            changed["margin"] = nats(changed["margin"])
        if not changed:
            return method
        if isinstance(method, TwoStage):
            return replace(method, base=_changed(method.base, changed, self.method))
        return _changed(method, changed, self.method)


def _changed(method: Method, changed: dict[str, Any], name: str) -> OneStage:
    if not isinstance(method, OneStage) or method.entropy is None:
        raise SettingError(f"{name} has no max-entropy whose {', '.join(changed)} could be set")
    return replace(method, entropy=Entropy(**{**asdict(method.entropy), **changed}))


def nats(margin: float | str) -> float:
    """A margin as a number: 4, or "log 4".

    Raises:
        SettingError: neither.
    """
    if isinstance(margin, str):
        found = re.fullmatch(r"log (\d+(?:\.\d+)?)", margin)
        if found is None or not float(found[1]) > 0:
            raise SettingError(f"a margin is a number of nats, or as 'log 4', not {margin!r}")
        return math.log(float(found[1]))
    return float(margin)


def points_of(config: dict[str, Any]) -> Iterator[Point]:
    """All points of a configuration, the main ones first; some come more than once."""
    yield from curve_points(config)
    for study in config.get("studies", []):
        yield from study_points(study)
    yield from convergence_points(config)


def curve_points(config: dict[str, Any]) -> Iterator[Point]:
    """The points of the curves over p (figure 3a), a method's rates one after the other."""
    for curve in config.get("curves", []):
        for method in curve["methods"]:
            for rate in curve["rates"]:
                yield Point(curve["noise"], rate, method)


def study_points(study: dict[str, Any]) -> list[Point]:
    """The points of a study's rows, in their order."""
    made = []
    for row in study["rows"]:
        settings = {k: v for k, v in row.items() if k != "label"}
        if settings.get("layers") is not None:
            settings["layers"] = tuple(map(str, settings["layers"]))
        shared = {"noise": study.get("noise", "patterned"), "rate": study["rate"]}
        made.append(Point(**{**shared, **settings}))
    return made


def convergence_points(config: dict[str, Any]) -> list[Point]:
    """The points whose losses are drawn epoch by epoch (figure B.4)."""
    wanted = config.get("convergence")
    if not wanted:
        return []
    return [Point("patterned", wanted["rate"], method) for method in wanted["methods"]]


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return "+".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value).replace(" ", "-")
