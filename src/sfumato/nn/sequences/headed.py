"""Layers made of a trunk, torch's own fused module run unchanged, and a head for the scale."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from sfumato.errors import SettingError
from sfumato.nn.base import GAUSSIAN, StochasticModule, read_law
from sfumato.nn.bound import BoundLike
from sfumato.nn.plain import add_missing, is_assigned
from sfumato.noise import LocationScale, NoiseLaw, raw_scale
from sfumato.noise.base import at_least_float32

Headed = TypeVar("Headed", bound="HeadedLayer")


class HeadedLayer(StochasticModule, ABC):
    """Abstract: the trunk's output y `[..., d]` is the location; a head reads y for the rest.

    For a law with a location, location = y and the other raw values are `head(y)`, one linear map
    d -> (P - 1) d. So a pretrained trunk keeps its function in the mean, and the scale is free:
    y itself could not be it, since an LSTM's output lies in (-1, 1) and a layer norm's is centred.
    For a law without a location the head gives all P d raw values.

    The state dict has the keys `trunk.*` and `head.*`; that of the plain torch layer is accepted
    too, and the head then keeps its values (on the meta device it has none: that raises a
    `RuntimeError`).
    """

    kind: ClassVar[type[nn.Module]]
    """The torch module that the trunk is."""

    def __init__(
        self, trunk: nn.Module, noise: NoiseLaw, bound: BoundLike, scale: float | None
    ) -> None:
        super().__init__(read_law(noise).over(-1), bound)
        self.trunk: Any = trunk
        self.scale = scale
        width, like = self._width(), next(trunk.parameters())
        blocks = noise.num_params - noise.located
        self.head: nn.Linear | None = None
        if blocks:
            self.head = nn.Linear(width, blocks * width, device=like.device, dtype=like.dtype)
        if scale is not None:
            _start_at(self.head, scale, noise)

    def reset_parameters(self) -> None:
        """Draw all parameters anew, as torch does; a `scale` is started at again."""
        self.trunk.apply(_reset)
        if self.head is not None:
            self.head.reset_parameters()
        if self.scale is not None:
            _start_at(self.head, self.scale, self.noise)

    @abstractmethod
    def _width(self) -> int:
        """The size d of the last axis of the trunk's output."""

    @classmethod
    def from_module(
        cls: type[Headed],
        module: nn.Module,
        noise: NoiseLaw = GAUSSIAN,
        bound: BoundLike = None,
        *,
        scale: float | None = None,
    ) -> Headed:
        """A stochastic layer around a copy of a trained torch layer: its mean is that layer.

        All settings, dtype, device and `requires_grad` are those of `module`; around a frozen one
        the head is frozen too.

        Args:
            module: the torch layer; it is copied.
            noise: a law with a location.
            bound: clamp the location to (low, high).
            scale: start with this scale for every input; a fresh head when None.

        Raises:
            SettingError: `module` is of another kind, the law has no location, or `scale` does not
                fit the law.
        """
        if not isinstance(module, cls.kind):
            raise SettingError(
                f"{cls.__name__}.from_module takes a torch.nn.{cls.kind.__name__}, "
                f"not {type(module).__name__}"
            )
        if not noise.located:
            raise SettingError(
                f"{type(noise).__name__} has no location that the trained layer could become: "
                "use a law that has, such as sfumato.noise.Gaussian"
            )
        layer = cls.__new__(cls)
        HeadedLayer.__init__(layer, copy.deepcopy(module), noise, bound, scale)
        if layer.head is not None:
            layer.head.requires_grad_(any(p.requires_grad for p in module.parameters()))
        layer.training = module.training
        return layer

    def _raw(self, y: Tensor) -> Tensor:
        """The law's blocks, stacked on the last axis."""
        if self.head is None:
            return y
        rest = self.head(y)
        return torch.cat([y, rest], -1) if self.noise.located else rest

    def _blocks(self, y: Tensor) -> Sequence[Tensor]:
        return self._raw(y).chunk(self.noise.num_params, -1)

    def _sampled(self, y: Tensor, eps: Tensor | None) -> Tensor:
        if self.mode == "mean" and isinstance(self.noise, LocationScale) and not self._observers:
            # The mean needs no head: it is the plain layer at the plain layer's cost.
            return y if self.bound is None else self.bound(at_least_float32(y)).to(y.dtype)
        return self._pass_on(self._raw(y), -1, eps)

    def _law_config(self) -> dict[str, Any]:
        return {"scale": self.scale, **super()._law_config()}

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        *args: Any,
        **kwargs: Any,
    ) -> None:
        plain = [name for name in self.trunk.state_dict() if prefix + name in state_dict]
        for name in plain:
            state_dict[f"{prefix}trunk.{name}"] = state_dict.pop(prefix + name)
        if plain and self.head is not None:
            own = self.head.state_dict(prefix="head.")
            add_missing(state_dict, prefix, own, is_assigned(local_metadata))
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args, **kwargs)


def of_trunk(name: str) -> Any:
    """A property that reads `name` from the trunk, as users of the plain torch layer do."""
    return property(lambda layer: getattr(layer.trunk, name), doc=f"`{name}` of the trunk.")


def built(make: Callable[..., nn.Module], **settings: Any) -> nn.Module:
    """The torch module of these settings.

    Raises:
        SettingError: torch refuses them.
    """
    try:
        return make(**settings)
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        raise SettingError(f"torch refuses these settings: {error}") from error


def _reset(module: nn.Module) -> None:
    """Let one of torch's modules draw its parameters anew; attention's name is a private one."""
    for name in ("reset_parameters", "_reset_parameters"):
        reset = getattr(module, name, None)
        if callable(reset):
            reset()


def _start_at(head: nn.Linear | None, scale: float, noise: NoiseLaw) -> None:
    """Make the scale a constant at the start: no weight, and the bias that gives `scale`."""
    if head is None or not isinstance(noise, LocationScale):
        raise SettingError(f"{type(noise).__name__} has no scale to start at: leave scale out")
    nn.init.zeros_(head.weight)
    nn.init.constant_(head.bias, raw_scale(scale, noise.min_scale))
