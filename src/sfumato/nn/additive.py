"""Additive noise: location and scale are free tensors, added to the input."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from functools import reduce
from typing import Any, final

import torch
from torch import Tensor, nn

from sfumato.errors import DataError, SettingError
from sfumato.nn.base import GAUSSIAN, StochasticModule, check_positive
from sfumato.nn.bound import BoundLike
from sfumato.nn.conditional.selection import Labels, Selection, Shares, read_selection
from sfumato.noise import NoiseLaw


class _Additive(StochasticModule, ABC):
    """Abstract: `weight` `[*lead, P, *shape]`, zero at the start."""

    def __init__(
        self,
        lead: tuple[int, ...],
        shape: Sequence[int],
        noise: NoiseLaw,
        bound: BoundLike,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__(noise, bound)
        if not noise.located:
            raise SettingError(
                f"additive noise needs a law with a location to move, not {type(noise).__name__}"
            )
        self.shape = tuple(shape)
        if not self.shape:
            raise SettingError("shape is that of one record, with at least one axis")
        check_positive(**{f"shape[{axis}]": size for axis, size in enumerate(self.shape)})
        size = (*lead, noise.num_params, *self.shape)
        self.weight = nn.Parameter(torch.zeros(size, device=device, dtype=dtype))

    def config(self) -> dict[str, Any]:
        return {"shape": list(self.shape), **self._law_config()}

    def _shifted(self, x: Tensor, raw: Tensor) -> tuple[Tensor, ...]:
        # raw is [B or 1, P, *shape]: the location moves with x, every other parameter does not.
        blocks = [block.expand(x.shape) for block in raw.unbind(1)]
        return x + blocks[0], *blocks[1:]

    def _check_input(self, x: Tensor) -> None:
        if x.shape[1:] != self.shape:
            raise DataError(
                f"{type(self).__name__} was made for records of shape {list(self.shape)}, "
                f"but the input is {list(x.shape)}"
            )
        if not x.is_floating_point():
            raise DataError(
                f"{type(self).__name__} adds noise to real numbers, not to {x.dtype}: "
                "convert the records first, pictures for instance to x / 255"
            )


@final
class AdditiveNoise(_Additive):
    """h = x + μ + σ ε with free tensors μ and σ of the record's shape (spec 3 §1, additive layers).

    `weight` is `[P, *shape]`: block 0 is μ, block 1 the raw scale. `bound` clamps x + μ.

    Args:
        shape: the shape of one record.
        noise: the noise law.
        bound: clamp the location to (low, high).
        device: where the parameters live.
        dtype: of the parameters.

    Raises:
        SettingError: a size is below 1.
    """

    def __init__(
        self,
        shape: Sequence[int],
        noise: NoiseLaw = GAUSSIAN,
        bound: BoundLike = None,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__((), shape, noise, bound, device, dtype)

    def blocks(self, x: Tensor) -> Sequence[Tensor]:
        self._check_input(x)
        return self._shifted(x, self.weight.unsqueeze(0))

    def forward(self, x: Tensor, eps: Tensor | None = None) -> Tensor:
        """Pass on a sample of the shape of `x`, `[B, *shape]`.

        Raises:
            DataError: `x` has another shape, or is not of a floating-point dtype.
        """
        return self._emit(self.params(x), x, eps)


@final
class ConditionalAdditiveNoise(_Additive):
    """`AdditiveNoise` with free tensors for each category; `weight` is `[C, P, *shape]`.

    Args:
        num_classes: number of categories C.
        shape: the shape of one record.
        noise: the noise law.
        bound: clamp the location to (low, high).
        device: where the parameters live.
        dtype: of the parameters.

    Raises:
        SettingError: a size is below 1.
    """

    def __init__(
        self,
        num_classes: int,
        shape: Sequence[int],
        noise: NoiseLaw = GAUSSIAN,
        bound: BoundLike = None,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_positive(num_classes=num_classes)
        super().__init__((num_classes,), shape, noise, bound, device, dtype)
        self.num_classes = num_classes

    def blocks(self, x: Tensor, selection: Selection) -> Sequence[Tensor]:
        self._check_input(x)
        return self._shifted(x, self._raw(x, selection))

    def forward(self, x: Tensor, selection: Selection, eps: Tensor | None = None) -> Tensor:
        """Pass on a sample of the shape of `x`, `[B, *shape]`.

        The selections are those of `ConditionalConv2d`.

        Raises:
            DataError: `x` or `selection` does not fit.
        """
        return self._emit(self.params(x, selection), x, eps)

    def config(self) -> dict[str, Any]:
        return {"num_classes": self.num_classes, **super().config()}

    def _raw(self, x: Tensor, selection: Selection) -> Tensor:
        reading = read_selection(
            selection,
            x.shape[0],
            self.num_classes,
            len(self.shape) - 1,
            draw=self.mode == "sample",
            source=self.source,
        )
        if not isinstance(reading, Labels):
            return self._merged(reading)
        if reading.index.dim() == 1:
            return self.weight.index_select(0, reading.index)
        if reading.index.shape[1:] != self.shape[1:]:
            raise DataError(
                f"a class map {list(reading.index.shape)} does not fit records {list(self.shape)}"
            )
        index = reading.index.unsqueeze(1).unsqueeze(1)
        return self.weight.gather(0, index.expand(-1, *self.weight.shape[1:3], *index.shape[3:]))

    def _merged(self, shares: Shares) -> Tensor:
        pi = shares.values.to(self.weight.dtype)
        for have, want in zip(pi.shape[2:], self.shape, strict=True):
            if have not in (1, want):
                raise DataError(f"π {list(pi.shape[2:])} does not fit records {list(self.shape)}")
        # One class at a time: all of them at once would need C copies of every record.
        parts = (
            share.unsqueeze(1) * own
            for share, own in zip(pi.unbind(1), self.weight.unbind(0), strict=True)
        )
        return reduce(torch.add, parts)
