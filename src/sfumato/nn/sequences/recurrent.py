"""Stochastic recurrent layers: torch's fused recurrence, a sample at every step of its output."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from sfumato.errors import DataError
from sfumato.nn.base import GAUSSIAN, check_positive
from sfumato.nn.bound import BoundLike
from sfumato.nn.inputs import check_real
from sfumato.nn.sequences.headed import HeadedLayer, built, of_trunk
from sfumato.noise import NoiseLaw

SETTINGS = (
    "input_size",
    "hidden_size",
    "num_layers",
    "bias",
    "batch_first",
    "dropout",
    "bidirectional",
)


class StochasticRecurrent(HeadedLayer, ABC):
    """Abstract: what the recurrent layers share.

    Their constructors hand on the values of `SETTINGS`, in that order, and what only one of them
    has by name.
    """

    input_size = of_trunk("input_size")
    hidden_size = of_trunk("hidden_size")
    num_layers = of_trunk("num_layers")
    bias = of_trunk("bias")
    batch_first = of_trunk("batch_first")
    dropout = of_trunk("dropout")
    bidirectional = of_trunk("bidirectional")
    proj_size = of_trunk("proj_size")
    flatten_parameters = of_trunk("flatten_parameters")

    def __init__(
        self,
        values: Sequence[Any],
        noise: NoiseLaw,
        bound: BoundLike,
        scale: float | None,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
        **more: Any,
    ) -> None:
        settings = dict(zip(SETTINGS, values, strict=True))
        check_positive(**{name: settings[name] for name in SETTINGS[:3]})
        trunk = built(self.kind, **settings, **more, device=device, dtype=dtype)
        super().__init__(trunk, noise, bound, scale)

    def blocks(self, x: Any, state: Any = None) -> Sequence[Tensor]:
        packed = isinstance(x, PackedSequence)
        output, _ = self._run(x, state)
        return self._blocks(output.data if packed else output)

    def forward(self, x: Any, state: Any = None, eps: Tensor | None = None) -> tuple[Any, Any]:
        """Pass on a sample of the output sequence, and the recurrence's own state.

        Args:
            x: `[T, B, in]`, `[B, T, in]` with `batch_first`, `[T, in]`, or a `PackedSequence`.
            state: what the plain torch layer takes; zeros when it is None.
            eps: the noise to use, of the sample's shape (of its `data` for a `PackedSequence`);
                drawn afresh when it is None.

        Returns:
            The pair that the plain torch layer gives, with the output sequence sampled. The state
            is not: it carries no noise, and whoever gets it gets the clean information.

        Raises:
            DataError: `x` or `state` has the wrong shape, no steps, or no real numbers.
        """
        packed = isinstance(x, PackedSequence)
        output, state = self._run(x, state)
        if packed:
            return PackedSequence(self._sampled(output.data, eps), *output[1:]), state
        return self._sampled(output, eps), state

    def config(self) -> dict[str, Any]:
        return {name: getattr(self.trunk, name) for name in SETTINGS} | self._law_config()

    def _width(self) -> int:
        directions = 2 if self.bidirectional else 1
        return directions * (self.proj_size or self.hidden_size)

    def _run(self, x: Any, state: Any) -> tuple[Any, Any]:
        self._check_input(x)
        if state is not None:
            self._check_state(x, state)
        return self.trunk(x, state)

    def _check_input(self, x: Any) -> None:
        packed = isinstance(x, PackedSequence)
        data, name = (x.data if packed else x), type(self).__name__
        check_real(name, data)
        if data.dim() not in ((2,) if packed else (2, 3)):
            shape = "[B, T, in]" if self.batch_first else "[T, B, in]"
            raise DataError(f"{name} needs an input of {shape} or [T, in], not {list(data.shape)}")
        if data.shape[-1] != self.input_size:
            raise DataError(
                f"{name} was made for {self.input_size} input features, "
                f"but the input {list(data.shape)} has {data.shape[-1]}"
            )
        if not packed and data.shape[1 if self.batch_first and data.dim() == 3 else 0] == 0:
            raise DataError(f"{name} needs at least one step, but the input is {list(data.shape)}")

    def _check_state(self, x: Any, state: Any) -> None:
        rows = self.num_layers * (2 if self.bidirectional else 1)
        if isinstance(x, PackedSequence):
            lead = [rows, int(x.batch_sizes[0])]
        else:
            lead = [rows] if x.dim() == 2 else [rows, x.shape[0 if self.batch_first else 1]]
        sizes = self._state_sizes()
        parts = state if isinstance(state, (tuple, list)) else (state,)
        found = [list(part.shape) if isinstance(part, Tensor) else part for part in parts]
        wanted = [[*lead, size] for size in sizes]
        if found != wanted:
            raise DataError(
                f"the state of {type(self).__name__} must be {_tensors(wanted)}, "
                f"not {_tensors(found)}"
            )

    def _state_sizes(self) -> list[int]:
        return [self.hidden_size]


@final
class StochasticLSTM(StochasticRecurrent):
    """An LSTM whose output sequence is sampled, for each record and each step (spec 1 §1).

    y, state = LSTM(x) by torch's fused kernel; μ = y, σ = softplus(W y + b) + min_scale,
    h = μ + σ ε. The noise is added to what the layer passes on and is not fed back. The state it
    returns is the recurrence's own and carries **no** noise: handing it on hands on the clean
    information.

    The arguments are those of `torch.nn.LSTM`, then `noise` (the noise law), `bound` (clamp the
    location to (low, high)) and `scale`: the scale to start from, the same for every input. Without
    it the head W, b starts as `torch.nn.Linear` does.

    Raises:
        SettingError: sizes that torch refuses, or a `scale` that does not fit the law.

    Example:
        >>> import torch
        >>> layer = StochasticLSTM(8, 4, batch_first=True)
        >>> sample, (h, c) = layer(torch.zeros(2, 5, 8))
        >>> sample.shape
        torch.Size([2, 5, 4])
    """

    kind = nn.LSTM

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        noise: NoiseLaw = GAUSSIAN,
        bound: BoundLike = None,
        *,
        scale: float | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        values = (input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional)
        super().__init__(values, noise, bound, scale, device, dtype, proj_size=proj_size)

    def config(self) -> dict[str, Any]:
        return {"proj_size": self.proj_size, **super().config()}

    def _state_sizes(self) -> list[int]:
        return [self.proj_size or self.hidden_size, self.hidden_size]


@final
class StochasticGRU(StochasticRecurrent):
    """A GRU whose output sequence is sampled; its state carries no noise, as in `StochasticLSTM`.

    The arguments are those of `torch.nn.GRU`, then those that `StochasticLSTM` adds.

    Raises:
        SettingError: sizes that torch refuses, or a `scale` that does not fit the law.

    Example:
        >>> import torch
        >>> sample, state = StochasticGRU(8, 4, batch_first=True)(torch.zeros(2, 5, 8))
        >>> sample.shape, state.shape
        (torch.Size([2, 5, 4]), torch.Size([1, 2, 4]))
    """

    kind = nn.GRU

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        noise: NoiseLaw = GAUSSIAN,
        bound: BoundLike = None,
        *,
        scale: float | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        values = (input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional)
        super().__init__(values, noise, bound, scale, device, dtype)


def _tensors(shapes: list[Any]) -> str:
    return str(shapes[0]) if len(shapes) == 1 else f"({', '.join(map(str, shapes))})"
