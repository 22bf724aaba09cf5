"""The layers that hold kernels, plain or stochastic, seen alike: their sizes on the mean path."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, final

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from sfumato.nn import StochasticConv1d, StochasticConv2d, StochasticConv3d, StochasticLinear
from sfumato.nn.kernels import KernelLayer

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
PLAIN = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
STOCHASTIC = (StochasticLinear, StochasticConv1d, StochasticConv2d, StochasticConv3d)
TWINS: dict[type[nn.Module], Any] = dict(zip(PLAIN, STOCHASTIC, strict=True))
NORMS = nn.modules.batchnorm._BatchNorm

Stochastic: TypeAlias = StochasticLinear | StochasticConv1d | StochasticConv2d | StochasticConv3d


@final
@dataclass(frozen=True)
class Kernel:
    """Sizes of a layer's kernel; of a stochastic layer, those of its mean path.

    Args:
        outputs: neurons, or channels, that it makes.
        inputs: neurons, or channels, that it reads.
        groups: of a convolution.
        taps: positions of the kernel, 25 for 5 x 5.
        bias: whether there is one.
    """

    outputs: int
    inputs: int
    groups: int
    taps: int
    bias: bool

    @property
    def weights(self) -> int:
        """Numbers in the kernel, without the bias."""
        return self.outputs * (self.inputs // self.groups) * self.taps

    @property
    def parameters(self) -> int:
        """Numbers in the kernel and the bias."""
        return self.weights + (self.outputs if self.bias else 0)


def kernel_of(module: nn.Module) -> Kernel | None:
    """The sizes of a layer's kernel; None of a module that has none."""
    if isinstance(module, STOCHASTIC):
        taps, groups = math.prod(module.weight.shape[2:]), getattr(module.operator, "groups", 1)
        sizes = module.operator.outputs, module.operator.inputs
        return Kernel(*sizes, groups, taps, module.bias is not None)
    if isinstance(module, nn.Linear):
        sizes = module.out_features, module.in_features
        return Kernel(*sizes, 1, 1, module.bias is not None)
    if isinstance(module, (*PLAIN[1:], *TRANSPOSED)):
        layer: Any = module
        taps = math.prod(layer.kernel_size)
        sizes = layer.out_channels, layer.in_channels
        return Kernel(*sizes, layer.groups, taps, layer.bias is not None)
    return None


def is_linear(module: nn.Module) -> bool:
    """Whether a layer's neurons lie on the last axis, not on the second."""
    return isinstance(module, (nn.Linear, StochasticLinear))


def channel_axis(module: nn.Module, x: Tensor) -> int:
    """The axis of `x` on which a layer with a kernel finds or puts its neurons."""
    return x.dim() - 1 if is_linear(module) else 1


def on_input(
    module: nn.Module, see: Callable[[nn.Module, Tensor], Tensor | None]
) -> RemovableHandle:
    """Show what a layer reads to `see`, given in place or by keyword; what it returns is read."""

    def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        name = None if args else next(iter(kwargs))
        found = see(module, args[0] if name is None else kwargs[name])
        if found is None:
            return None
        return ((found, *args[1:]), kwargs) if name is None else (args, {**kwargs, name: found})

    return module.register_forward_pre_hook(hook, with_kwargs=True)


def is_unknown_sampler(module: nn.Module) -> bool:
    """Whether a module draws, and is no stochastic layer of one kernel."""
    from sfumato.nn.base import SamplingModule

    return isinstance(module, SamplingModule) and not isinstance(module, STOCHASTIC)


def blocks(layer: KernelLayer, values: Tensor) -> Tensor:
    """A stochastic layer's weight, or bias, with its blocks apart: `[P, out, ...]`."""
    return values.unflatten(0, (layer.noise.num_params, layer.operator.outputs))
