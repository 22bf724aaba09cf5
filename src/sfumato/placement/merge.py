"""The second and third embodiment: a side branch merges with the activation inside a network."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor, nn

from sfumato.errors import DataError
from sfumato.nn.base import StochasticModule
from sfumato.placement.before import output_of

Merge = Callable[[Tensor, Tensor], Tensor]


class _TwoBranches(nn.Module, ABC):
    """Abstract: N split into N₁ and N₂, and a side branch of regular layers L."""

    def __init__(
        self,
        first: nn.Module,
        second: nn.Module,
        noise: StochasticModule,
        layers: nn.Module | None,
        merge: Merge,
    ) -> None:
        super().__init__()
        self.first = first
        self.layers = nn.Identity() if layers is None else layers
        self.noise, self.second, self.merge = noise, second, merge


@final
class MergeThenNoise(_TwoBranches):
    """merge(N₁(x), L(x)) -> S_L -> N₂ (spec 1 §2.2 and spec 3 §5.2)."""

    def forward(self, x: Tensor, *selection: Any) -> Any:
        """The network's output; a conditional S_L takes its selection too."""
        merged = self.merge(output_of(self.first, x), output_of(self.layers, x))
        return self.second(output_of(self.noise, merged, *selection))


@final
class NoiseThenMerge(_TwoBranches):
    """merge(N₁(x), S_L(L(x))) -> N₂ (spec 1 §2.3 and spec 3 §5.3)."""

    def forward(self, x: Tensor, *selection: Any) -> Any:
        """The network's output; a conditional S_L takes its selection too."""
        first = output_of(self.first, x)
        noisy = output_of(self.noise, output_of(self.layers, x), *selection)
        return self.second(self.merge(first, noisy))


def add(left: Tensor, right: Tensor) -> Tensor:
    """Merge two branches of one shape by their sum.

    Raises:
        DataError: the shapes differ.
    """
    if left.shape != right.shape:
        raise DataError(
            f"the branches to merge have shapes {list(left.shape)} and {list(right.shape)}: "
            "choose L so that they agree, or another merge"
        )
    return left + right


def concatenate(left: Tensor, right: Tensor, axis: int = 1) -> Tensor:
    """Merge two branches by stacking their channels.

    Args:
        left: one branch.
        right: the other, of the same shape but for `axis`.
        axis: where the channels are: 1 for pictures and vectors, and for sequences `[B, T, F]` -1,
            `merge=functools.partial(concatenate, axis=-1)`.

    Raises:
        DataError: the shapes differ elsewhere too, or have no such axis.
    """
    fit = left.dim() == right.dim() and -left.dim() <= axis < left.dim()
    if not fit or _others(left, axis) != _others(right, axis):
        raise DataError(
            f"branches of shapes {list(left.shape)} and {list(right.shape)} cannot be stacked on "
            f"axis {axis}: choose L so that the other axes agree"
        )
    return torch.cat([left, right], dim=axis)


def _others(branch: Tensor, axis: int) -> list[int]:
    """The sizes of all axes but one."""
    return [size for at, size in enumerate(branch.shape) if at != axis % branch.dim()]


def merge_then_noise(
    first: nn.Module,
    second: nn.Module,
    noise: StochasticModule,
    layers: nn.Module | None = None,
    *,
    merge: Merge = add,
) -> MergeThenNoise:
    """Split N into N₁ and N₂; merge N₁(x) with L(x); noise; N₂.

    Records are whatever the layers take: vectors `[B, F]`, sequences `[B, T, F]`, pictures. Of a
    recurrent layer (torch's or ours) the output sequence goes on; its state is dropped.

    Args:
        first: N₁.
        second: N₂.
        noise: the stochastic or conditional layer S_L.
        layers: the regular layers L of the side branch; the identity when it is None.
        merge: how the branches meet: `add` (the default), `concatenate` or any function of two.

    Returns:
        A module whose call takes `x` and, where S_L is conditional, its selection.
    """
    return MergeThenNoise(first, second, noise, layers, merge)


def noise_then_merge(
    first: nn.Module,
    second: nn.Module,
    noise: StochasticModule,
    layers: nn.Module | None = None,
    *,
    merge: Merge = add,
) -> NoiseThenMerge:
    """Split N into N₁ and N₂; noise on L(x) alone; merge with N₁(x); N₂.

    N₁(x) itself carries no noise: whoever sees the merged activation sees N₁(x) less whatever the
    noise of the branch hides. This embodiment regularises; it does not by itself obfuscate.

    The arguments are those of `merge_then_noise`.
    """
    return NoiseThenMerge(first, second, noise, layers, merge)
