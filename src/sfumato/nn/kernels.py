"""The fused kernel that a layer owns: `weight` and `bias`, with the noise law's blocks stacked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sfumato.nn.base import StochasticModule, read_law
from sfumato.nn.bound import BoundLike
from sfumato.nn.inputs import check_input
from sfumato.nn.operator import Operator
from sfumato.noise import NoiseLaw


class KernelLayer(StochasticModule):
    """Abstract: a stochastic layer with one fused `weight` of shape `[*lead, P * out, in, ...]`.

    One matrix product or convolution per forward gives all P parameters of the law.
    """

    bias: nn.Parameter | None

    def __init__(
        self,
        operator: Operator,
        lead: tuple[int, ...],
        bias: bool,
        noise: NoiseLaw,
        bound: BoundLike,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__(read_law(noise).over(operator.channel_axis), bound)
        self.operator = operator
        shape = (*lead, *operator.kernel_shape(noise.num_params))
        self.weight = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
        if bias:
            size = noise.num_params * operator.outputs
            self.bias = nn.Parameter(torch.empty((*lead, size), device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw kernel and bias as `torch.nn.Linear` and `torch.nn.Conv2d` do."""
        fan_in = math.prod(self.operator.kernel_shape(1)[1:])
        limit = 1 / math.sqrt(fan_in) if fan_in else 0.0
        for parameter in self.parameters(recurse=False):
            nn.init.uniform_(parameter, -limit, limit)

    def config(self) -> dict[str, Any]:
        return {**self.operator.config(), "bias": self.bias is not None, **self._law_config()}

    def _blocks(self, raw: Tensor) -> Sequence[Tensor]:
        return raw.chunk(self.noise.num_params, dim=self.operator.channel_axis)

    def _check_input(self, x: Tensor, batched: bool) -> None:
        check_input(type(self).__name__, self.operator, x, batched=batched)
