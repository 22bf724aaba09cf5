"""Any network as the parameter network of a stochastic layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

from torch import Tensor, nn

from sfumato.errors import DataError, SettingError
from sfumato.nn.base import GAUSSIAN, StochasticModule, read_law
from sfumato.nn.bound import BoundLike
from sfumato.noise import NoiseLaw


@final
class Stochastic(StochasticModule):
    """Pass on a sample whose parameters a network of any kind emits (spec 1 §1).

    The network's output holds the law's P blocks, of one size, stacked on `axis`: block 0 is the
    location, block 1 the raw scale; the sample has the shape of one block. Its parameters stand
    in the state dict under `network.`; `config()` leaves the network out, as no JSON value is one.

    Args:
        params: the network; it is used, not copied.
        noise: the noise law.
        bound: clamp the location to (low, high).
        axis: where the blocks are stacked: 1 for pictures `[B, P * C, H, W]`, -1 for sequences
            `[B, T, P * D]`. A law that ties channels together (categories) must know the axis
            before it sees an output: it takes a negative one only, -3 for pictures.

    Raises:
        SettingError: `axis` is 0, where the records are, or not negative for a law of categories.

    Example:
        >>> import torch
        >>> network = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 2 * 4))
        >>> Stochastic(network)(torch.zeros(3, 8)).shape
        torch.Size([3, 4])
    """

    def __init__(
        self,
        params: nn.Module,
        noise: NoiseLaw = GAUSSIAN,
        bound: BoundLike = None,
        *,
        axis: int = 1,
    ) -> None:
        noise = read_law(noise)
        if axis == 0:
            raise SettingError("axis 0 holds the records: stack the blocks on another one")
        if axis > 0 and noise.over(-1) != noise.over(-2):
            raise SettingError(
                f"{type(noise).__name__} ties channels together and needs their axis counted "
                f"from the end, not axis={axis}: -3 for pictures, -1 for sequences and vectors"
            )
        super().__init__(noise.over(axis) if axis < 0 else noise, bound)
        self.axis = axis
        self.network = params

    def blocks(self, *args: Any, **kwargs: Any) -> Sequence[Tensor]:
        return self._raw(*args, **kwargs).chunk(self.noise.num_params, self.axis)

    def forward(self, *args: Any, eps: Tensor | None = None, **kwargs: Any) -> Tensor:
        """Pass on a sample.

        Args:
            *args: what the network takes.
            eps: the noise to use, of the sample's shape; drawn afresh when it is None.
            **kwargs: what the network takes.

        Returns:
            A sample of the shape of the network's output, less by the factor P on `axis`.

        Raises:
            DataError: the network's output does not hold P blocks of real numbers.
        """
        return self._pass_on(self._raw(*args, **kwargs), self.axis, eps)

    def config(self) -> dict[str, Any]:
        return {"axis": self.axis, **self._law_config()}

    def _raw(self, *args: Any, **kwargs: Any) -> Tensor:
        raw = self.network(*args, **kwargs)
        name = type(self.network).__name__
        if not isinstance(raw, Tensor):
            raise DataError(
                f"the parameter network {name} must give one tensor, not {type(raw).__name__}: "
                "wrap it in a module that returns the tensor alone"
            )
        blocks, shape = self.noise.num_params, list(raw.shape)
        if not -raw.dim() <= self.axis < raw.dim():
            raise DataError(
                f"the parameter network {name} gives {shape}, which has no axis {self.axis}"
            )
        if raw.shape[self.axis] % blocks:
            raise DataError(
                f"axis {self.axis} of what the parameter network {name} gives, {shape}, must hold "
                f"the {blocks} blocks of {type(self.noise).__name__}: a multiple of {blocks}, "
                f"not {raw.shape[self.axis]}"
            )
        if not raw.is_floating_point():
            raise DataError(f"the parameter network {name} must give real numbers, not {raw.dtype}")
        return raw
