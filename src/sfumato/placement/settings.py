"""What a key of a spec asks for, read and checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast, final

import torch
from torch import nn

from sfumato.errors import SettingError
from sfumato.nn.base import GAUSSIAN
from sfumato.nn.bound import Bound, BoundLike, read_bound
from sfumato.nn.weights.base import UNIT, start_scale
from sfumato.nn.weights.estimators import Estimator, check_estimator
from sfumato.nn.weights.prior import PriorLike, read_prior
from sfumato.noise import LocationScale, NoiseLaw
from sfumato.placement.finding import Finding, about_key

Kind = Literal["stochastic", "bayesian"]
Make = Callable[[nn.Module], nn.Module]
Spec = Mapping[str, "str | Mapping[str, Any] | Make | None"]

USUAL_SCALE = 0.1
TAKES = {
    "stochastic": ("noise", "bound", "scale"),
    "bayesian": ("noise", "prior", "estimator", "scale"),
}


@final
@dataclass(frozen=True)
class Setting:
    """What a layer becomes.

    Raises:
        SettingError: a value that the layers would refuse, or a law that would not keep the
            layer's function.
    """

    kind: Kind
    noise: NoiseLaw = GAUSSIAN
    bound: BoundLike = None
    prior: PriorLike = UNIT
    estimator: Estimator = "auto"
    scale: float | None = None

    def __post_init__(self) -> None:
        _check_law(self.noise)
        if not isinstance(read_bound(self.bound), Bound | None):
            raise SettingError(f"bound must be (low, high) or None, not {self.bound!r}")
        if self.kind == "bayesian":
            read_prior(self.prior)
            check_estimator(self.estimator, self.noise)
        if self.scale is not None and not (_is_number(self.scale) and self.scale < math.inf):
            raise SettingError(f"scale must be a number, not {self.scale!r}")
        start_scale(self.noise, USUAL_SCALE, self.scale)

    @property
    def start(self) -> float | None:
        """The scale at which a stochastic layer starts; None for a law that has none."""
        if self.scale is not None or not isinstance(self.noise, LocationScale):
            return self.scale
        return max(USUAL_SCALE, 2 * self.noise.min_scale)


@final
@dataclass(frozen=True)
class Rule:
    """A key and what it asks for; None: leave the layer as it is."""

    key: str
    value: Setting | Make | None

    @property
    def kind(self) -> str:
        """`"stochastic"`, `"bayesian"`, `"function"` or `"none"`."""
        if isinstance(self.value, Setting):
            return self.value.kind
        return "none" if self.value is None else "function"


def read_rules(spec: Spec, usual: Mapping[str, Any]) -> tuple[list[Rule], list[Finding]]:
    """The rules of a spec, and what is wrong with its values.

    Args:
        spec: layers by name or pattern.
        usual: the settings of layers that bring none of their own.

    Raises:
        SettingError: `spec` is no mapping from text, or empty.
    """
    if not isinstance(spec, Mapping) or not all(isinstance(key, str) for key in spec):
        raise SettingError('a spec maps names or patterns to kinds, {"fc": "bayesian"}')
    if not spec:
        raise SettingError('the spec is empty: name a layer, {"fc": "bayesian"}, or all, "*"')
    rules: list[Rule] = []
    findings: list[Finding] = []
    for key, value in spec.items():
        try:
            rules.append(Rule(key, _read(value, usual)))
        except SettingError as error:
            findings.append(about_key("error", key, f"cannot be read: {error}"))
    return rules, findings


def _read(value: Any, usual: Mapping[str, Any]) -> Setting | Make | None:
    make: Any = value
    if make is None or (callable(make) and not isinstance(make, nn.Module)):
        return cast("Make | None", make)
    own = {"kind": value} if isinstance(value, str) else value
    if not isinstance(own, Mapping):
        raise SettingError(
            "a layer becomes 'stochastic' or 'bayesian', what a dict of settings says or what a "
            f"function of it returns, or None leaves it as it is; not {type(value).__name__}"
        )
    kind = own.get("kind")
    if kind not in TAKES:
        raise SettingError(f"the kind is 'stochastic' or 'bayesian', not {kind!r}")
    if unknown := sorted(set(own) - {"kind", *TAKES[kind]}):
        raise SettingError(f"{kind!r} takes {', '.join(TAKES[kind])}, not {', '.join(unknown)}")
    settings: dict[str, Any] = {name: usual[name] for name in TAKES[kind]}
    return Setting(**{**settings, **own})


def _check_law(noise: Any) -> None:
    """Raise a `SettingError` unless a mean of this law can be the trained layer's own value."""
    if not isinstance(noise, NoiseLaw):
        raise SettingError(f"noise is a law such as sfumato.noise.Gaussian(), not {noise!r}")
    name = type(noise).__name__
    if not noise.located:
        raise SettingError(
            f"{name} has no location that what was learned could become: "
            "use a law that has, such as sfumato.noise.Gaussian"
        )
    params = noise.constrain(torch.zeros(noise.num_params, 1).unbind())
    if not torch.equal(noise.mean(params), params[0]):
        raise SettingError(
            f"the mean of {name} is not its location, so that mean mode would not keep what was "
            "learned: use a symmetric law"
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
