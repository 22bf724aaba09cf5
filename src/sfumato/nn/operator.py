"""How a kernel acts on an input: once for all records, or one kernel for each record.

A kernel has P stacked blocks on its output axis (block 0 = location, block 1 = raw scale ...), so
that one matrix product or one convolution gives all parameters of the law.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor

from sfumato.errors import SettingError
from sfumato.nn.base import check_positive

Size = int | tuple[int, ...]


class Operator(ABC):
    """What a kernel does to an input `x` of shape `[B, in, *spatial]` (or `[B, ..., in]`)."""

    inputs: int
    outputs: int  # of one block
    spatial: int  # number of spatial axes behind the channel axis
    groups: int

    @abstractmethod
    def kernel_shape(self, blocks: int) -> tuple[int, ...]:
        """The shape of a fused kernel, `[blocks * out, in / groups, *window]`."""

    @abstractmethod
    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """One kernel for all records: `[B, blocks * out, *spatial]`."""

    @abstractmethod
    def apply_each(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Record b under its own kernel: `weight` is `[B, *kernel]`, `bias` `[B, blocks * out]`."""

    @abstractmethod
    def average(self, share: Tensor) -> Tensor:
        """The mean of `share` over what each output sees: its window and its group's channels.

        Args:
            share: `[n, in or 1, *spatial]`, of the input's size in space.

        Returns:
            `[n, out or 1, *spatial]`; the zeros of a padding do not count.
        """

    @abstractmethod
    def prefers_each(self, x: Tensor, blocks: int, classes: int) -> bool:
        """Whether a kernel per record is quicker here than sorting the records by class.

        Args:
            x: the input.
            blocks: parameters of the law.
            classes: the number of classes that occur.
        """

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The constructor's arguments, as JSON values."""

    @property
    def channel_axis(self) -> int:
        """Where the channels are, counted from the end: it holds without a batch axis too."""
        return -1 - self.spatial

    def per_output(self, bias: Tensor) -> Tensor:
        """`bias` `[..., out]` with one trailing axis for each spatial axis."""
        return bias.reshape(*bias.shape, *(1,) * self.spatial)


@final
@dataclass(frozen=True)
class LinearOperator(Operator):
    """h = W x (spec 1, eq. 7) on the last axis of `x`, `[B, ..., in]`."""

    inputs: int
    outputs: int
    spatial = 0
    groups = 1

    def __post_init__(self) -> None:
        check_positive(in_features=self.inputs, out_features=self.outputs)

    def kernel_shape(self, blocks: int) -> tuple[int, ...]:
        return blocks * self.outputs, self.inputs

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return F.linear(x, weight, bias)

    def apply_each(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        rows = x.reshape(x.shape[0], x.shape[1:-1].numel(), x.shape[-1])
        out = torch.bmm(rows, weight.transpose(1, 2))
        if bias is not None:
            out = out + bias.unsqueeze(1).to(out.dtype)
        return out.reshape(*x.shape[:-1], weight.shape[1])

    def average(self, share: Tensor) -> Tensor:
        return share.mean(-1, keepdim=True)

    def prefers_each(self, x: Tensor, blocks: int, classes: int) -> bool:
        # Copying a kernel to every record (and its gradient back) against a call for each class:
        # one call costs about as much as copying 10,000 numbers.
        return x.shape[0] * blocks * self.inputs * self.outputs <= 10_000 * classes

    def config(self) -> dict[str, Any]:
        return {"in_features": self.inputs, "out_features": self.outputs}


@final
@dataclass(frozen=True)
class ConvOperator(Operator):
    """h[m, n] = Σ_i Σ_j k[i, j] x[m + i, n + j] (spec 3, eq. 1), in one to three dimensions."""

    inputs: int
    outputs: int
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...] | str
    dilation: tuple[int, ...]
    groups: int
    padding_mode: str

    def __post_init__(self) -> None:
        check_positive(in_channels=self.inputs, out_channels=self.outputs, groups=self.groups)
        if self.inputs % self.groups or self.outputs % self.groups:
            raise SettingError(
                f"groups = {self.groups} must divide in_channels = {self.inputs} "
                f"and out_channels = {self.outputs}"
            )
        if self.padding_mode not in ("zeros", "reflect", "replicate", "circular"):
            raise SettingError(
                f"unknown padding_mode {self.padding_mode!r}: "
                "use 'zeros', 'reflect', 'replicate' or 'circular'"
            )
        if isinstance(self.padding, str) and self.padding not in ("same", "valid"):
            raise SettingError(f"unknown padding {self.padding!r}: a number, 'same' or 'valid'")
        if self.padding == "same" and any(s != 1 for s in self.stride):
            raise SettingError("padding='same' needs stride 1")

    @property
    def spatial(self) -> int:  # type: ignore[override]
        return len(self.kernel_size)

    def kernel_shape(self, blocks: int) -> tuple[int, ...]:
        return blocks * self.outputs, self.inputs // self.groups, *self.kernel_size

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if self.groups == 1:
            return self._convolve(x, weight, bias, 1)
        out = self._convolve(x, self._by_group(weight, 0), None, self.groups)
        out = self._by_block(out, weight.shape[0] // self.outputs)
        return out if bias is None else out + self.per_output(bias).to(out.dtype)

    def apply_each(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        # One grouped convolution in which every record is a group (or `groups` of them).
        count, width = weight.shape[:2]
        kernels = weight if self.groups == 1 else self._by_group(weight, 1)
        packed = x.reshape(1, count * self.inputs, *x.shape[2:])
        # Summing a bias's gradient over few channels is slow inside of a grouped convolution.
        inside = bias is not None and self.groups == 1 and width >= 16
        own = bias.flatten() if bias is not None and inside else None
        out = self._convolve(packed, kernels.flatten(0, 1), own, count * self.groups)
        out = out.reshape(count, width, *out.shape[2:])
        if self.groups > 1:
            out = self._by_block(out, width // self.outputs)
        return out if bias is None or inside else out + self.per_output(bias).to(out.dtype)

    def average(self, share: Tensor) -> Tensor:
        groups = 1 if share.shape[1] == 1 else self.groups
        mean = share.unflatten(1, (groups, -1)).mean(2)
        ones = mean.new_ones(groups, 1, *self.kernel_size)
        inside = self._convolve(torch.ones_like(mean[:1, :1]), ones[:1], None, 1)
        total = self._convolve(mean, ones, None, groups)
        # A window that lies in the padding alone sees nothing: it takes the record's mean.
        overall = mean.mean(tuple(range(2, mean.dim())), keepdim=True)
        seen = torch.where(inside > 0.5, total / inside.clamp(min=1), overall)
        return seen if groups == 1 else seen.repeat_interleave(self.outputs // groups, 1)

    def prefers_each(self, x: Tensor, blocks: int, classes: int) -> bool:
        # As above; a call costs about as much as copying 60,000 numbers, and rearranges its kernel,
        # which costs less than half of copying it to one record. Of few channels a grouped
        # convolution is slow itself, so that a call for many records is worth its price.
        kernel = torch.Size(self.kernel_shape(blocks)).numel()
        if 1 < self.inputs < 8 and x.shape[0] >= 8 * classes:
            return x.numel() <= classes * 20_000
        return x.shape[0] * kernel <= classes * (60_000 + 0.4 * kernel)

    def config(self) -> dict[str, Any]:
        rest = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        return {"in_channels": rest.pop("inputs"), "out_channels": rest.pop("outputs"), **rest}

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> Tensor:
        convolve = (F.conv1d, F.conv2d, F.conv3d)[self.spatial - 1]
        if self.padding_mode == "zeros":
            return convolve(x, weight, bias, self.stride, self.padding, self.dilation, groups)
        padded = F.pad(x, self._pads(), mode=self.padding_mode)
        return convolve(padded, weight, bias, self.stride, 0, self.dilation, groups)

    def _pads(self) -> list[int]:
        pads: list[int] = []
        for axis in reversed(range(self.spatial)):
            if self.padding == "same":
                total = self.dilation[axis] * (self.kernel_size[axis] - 1)
                pads += [total // 2, total - total // 2]
            else:
                side = 0 if self.padding == "valid" else int(self.padding[axis])
                pads += [side, side]
        return pads

    def _by_group(self, weight: Tensor, axis: int) -> Tensor:
        # Stacked blocks are [block, group, out]; a grouped convolution wants the group first.
        lead, rest = weight.shape[:axis], weight.shape[axis + 1 :]
        split = weight.reshape(*lead, -1, self.groups, self.outputs // self.groups, *rest)
        return split.transpose(axis, axis + 1).reshape(weight.shape)

    def _by_block(self, out: Tensor, blocks: int) -> Tensor:
        axis = out.dim() + self.channel_axis
        lead, rest = out.shape[:axis], out.shape[axis + 1 :]
        split = out.reshape(*lead, self.groups, blocks, self.outputs // self.groups, *rest)
        return split.transpose(axis, axis + 1).reshape(out.shape)


def as_tuple(value: Size, spatial: int, name: str) -> tuple[int, ...]:
    """`value` once per spatial axis.

    Raises:
        SettingError: it is a sequence of another length.
    """
    if isinstance(value, int):
        return (value,) * spatial
    if len(value) != spatial:
        raise SettingError(f"{name} needs 1 or {spatial} numbers, not {tuple(value)}")
    return tuple(value)


def conv_operator(
    spatial: int,
    in_channels: int,
    out_channels: int,
    kernel_size: Size,
    stride: Size,
    padding: Size | str,
    dilation: Size,
    groups: int,
    padding_mode: str,
) -> ConvOperator:
    """A `ConvOperator` from the arguments that `torch.nn.Conv2d` takes."""
    return ConvOperator(
        in_channels,
        out_channels,
        as_tuple(kernel_size, spatial, "kernel_size"),
        as_tuple(stride, spatial, "stride"),
        padding if isinstance(padding, str) else as_tuple(padding, spatial, "padding"),
        as_tuple(dilation, spatial, "dilation"),
        groups,
        padding_mode,
    )
