"""What all stochastic layers share: raw values in, a sample out, in an explicit mode."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Literal, TypeAlias

from torch import Tensor, nn
from torch.distributions import Distribution

from sfumato.errors import DataError, SettingError
from sfumato.nn.bound import BoundLike, read_bound
from sfumato.nn.values import eager
from sfumato.noise import Gaussian, NoiseLaw, Params, Source
from sfumato.noise.base import at_least_float32
from sfumato.noise.source import TORCH

GAUSSIAN = Gaussian()
Observer: TypeAlias = "Callable[[StochasticModule, Params, Tensor], None]"


class SamplingModule(nn.Module, ABC):
    """A module that draws, in an explicit mode.

    `mode`, `source` and `draws` (above 1 while calls of this module, or of one around it, are
    averages) are set by `sf.sampling`, for a while; `train()` and `eval()` do not touch them.
    """

    mode: Literal["sample", "mean"] = "sample"
    source: Source = TORCH
    draws: int = 1


class StochasticModule(SamplingModule, ABC):
    """A layer that passes on a sample of the distribution whose parameters it emits.

    `_observers` is filled by `sf.record`, for a while; the layer keeps no tensor of a call.
    """

    _observers: tuple[Observer, ...] = ()

    def __init__(self, noise: NoiseLaw = GAUSSIAN, bound: BoundLike = None) -> None:
        super().__init__()
        self.noise = read_law(noise)
        self.bound = read_bound(bound)
        if self.bound is not None and not noise.located:
            raise SettingError(
                f"bound clamps a location, and {type(noise).__name__} has none: leave it out"
            )

    @abstractmethod
    def blocks(self, *args: Any, **kwargs: Any) -> Sequence[Tensor]:
        """The raw values for these inputs: one tensor of the sample's shape per parameter."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The constructor's arguments, as JSON values."""

    def params(self, *args: Any, **kwargs: Any) -> Params:
        """The parameters of the law for these inputs, each of the sample's shape."""
        return self._constrain(self.blocks(*args, **kwargs))

    def distribution(self, *args: Any, **kwargs: Any) -> Distribution:
        """The law of the sample for these inputs, element by element."""
        return self.noise.distribution(self.params(*args, **kwargs))

    def _constrain(self, raw: Sequence[Tensor]) -> Params:
        location, *rest = raw
        if self.bound is not None:
            # Widened first: in half precision the bound itself would be rounded, and overstepped.
            location = self.bound(at_least_float32(location))
        return self.noise.constrain((location, *rest))

    def _pass_on(self, raw: Tensor, axis: int, eps: Tensor | None = None) -> Tensor:
        """Pass on a sample (or the mean) from `raw`, the law's blocks stacked on `axis`."""
        fresh = self.mode == "sample" and eps is None and self.source is TORCH
        if fresh and self.bound is None and not self._observers and eager(raw):
            return self.noise.draw_from(raw, axis).to(raw.dtype)
        return self._emit(self._constrain(raw.chunk(self.noise.num_params, axis)), raw, eps)

    def _emit(self, params: Params, like: Tensor, eps: Tensor | None = None) -> Tensor:
        """Pass on a sample (or the mean), in the dtype of the raw values `like`."""
        if self.mode == "mean":
            sample = self.noise.mean(params)
        else:
            sample = self.noise.transform(params, self._noise_for(params[0], eps))
        for observe in self._observers:
            observe(self, params, sample)
        return sample.to(like.dtype)

    def _noise_for(self, location: Tensor, eps: Tensor | None) -> Tensor:
        if eps is None:
            shape, dtype, device = location.shape, location.dtype, location.device
            return self.noise.draw(shape, dtype=dtype, device=device, source=self.source)
        shape = self.noise.eps_shape(location.shape)
        if eps.shape != shape:
            # Broadcasting would share one draw between records without a word.
            raise DataError(
                f"eps must have the shape {list(shape)} for a sample of {list(location.shape)}, "
                f"not {list(eps.shape)}"
            )
        return eps

    def _law_config(self) -> dict[str, Any]:
        bound = None if self.bound is None else asdict(self.bound)
        return {"noise": {"law": type(self.noise).__name__, **self.noise.config()}, "bound": bound}

    def extra_repr(self) -> str:
        """The constructor's arguments, for `print(layer)`."""
        shown = {k: v for k, v in self.config().items() if k not in ("noise", "bound")}
        return ", ".join(f"{k}={v!r}" for k, v in shown.items()) + f", noise={self.noise}"


def read_law(noise: NoiseLaw) -> NoiseLaw:
    """`noise`, which must be a noise law.

    Raises:
        SettingError: it is something else, such as a torch distribution.
    """
    if not isinstance(noise, NoiseLaw):
        raise SettingError(
            f"noise must be a law such as sfumato.noise.Gaussian(), not {type(noise).__name__}"
        )
    return noise


def check_positive(**sizes: int) -> None:
    """Raise a `SettingError` that names the first size below 1."""
    for name, size in sizes.items():
        if size < 1:
            raise SettingError(f"{name} must be at least 1, not {size}")
