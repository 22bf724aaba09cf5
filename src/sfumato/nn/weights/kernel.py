"""What Bayesian layers with a kernel share: weight, bias, estimator."""

from __future__ import annotations

import math
from abc import ABC
from typing import Any

import torch
from torch import Tensor, nn

from sfumato.nn.inputs import check_input
from sfumato.nn.operator import Operator
from sfumato.nn.plain import add_missing, is_assigned
from sfumato.nn.weights.base import BayesianModule, blocks_of, raw_blocks, start_scale
from sfumato.nn.weights.draw import squared_scale
from sfumato.nn.weights.estimators import Estimator, check_estimator, flipout, local, quickest
from sfumato.nn.weights.prior import PriorLike
from sfumato.noise import NoiseLaw, Params


class BayesianKernel(BayesianModule, ABC):
    """Abstract: `weight` and `bias` are those of the plain layer; `weight_raw`, `bias_raw` beside.

    The state dict of the plain layer can be loaded: the scales then keep their values.
    """

    weight_raw: nn.Parameter | None
    bias: nn.Parameter | None
    bias_raw: nn.Parameter | None

    def __init__(
        self,
        operator: Operator,
        bias: bool,
        noise: NoiseLaw,
        prior: PriorLike,
        estimator: Estimator,
        scale: float | None,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__(noise, prior)
        check_estimator(estimator, noise)
        self.operator = operator
        self.estimator: Estimator = estimator
        self.scale = scale
        shape = operator.kernel_shape(1)
        self.weight = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
        self.register_parameter("weight_raw", raw_blocks(self.weight, noise, 0.0))
        own = torch.empty(operator.outputs, device=device, dtype=dtype) if bias else None
        self.register_parameter("bias", None if own is None else nn.Parameter(own))
        raw = None if self.bias is None else raw_blocks(self.bias, noise, 0.0)
        self.register_parameter("bias_raw", raw)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the means as torch draws a plain layer's weights; put the scales to their start."""
        limit = 1 / math.sqrt(max(math.prod(self.operator.kernel_shape(1)[1:]), 1))
        start = start_scale(self.noise, 0.1 * limit, self.scale)
        for parameter in (self.weight, self.bias):
            if parameter is not None:
                nn.init.uniform_(parameter, -limit, limit)
        for parameter in (self.weight_raw, self.bias_raw):
            if parameter is not None:
                nn.init.constant_(parameter, start)

    def posterior(self) -> dict[str, tuple[Tensor, ...]]:
        found = {"weight": blocks_of(self.noise, self.weight, self.weight_raw)}
        if self.bias is not None:
            found["bias"] = blocks_of(self.noise, self.bias, self.bias_raw)
        return found

    def forward(self, x: Tensor) -> Tensor:
        """The plain layer's output under drawn weights.

        Args:
            x: the input, of the shape that the plain torch layer takes.

        Raises:
            DataError: `x` has the wrong number of axes or channels.
        """
        check_input(type(self).__name__, self.operator, x, batched=False)
        chosen = self.estimator
        if chosen == "auto":
            chosen = quickest(self.operator, self.noise, x)
        if self.mode == "mean" or chosen == "reparameterization":
            weights = self._weights(self.posterior())
            return self.operator.apply(x, weights["weight"], weights.get("bias"))
        self._tell(None)
        return self._local(x) if chosen == "local" else self._flipout(x)

    def config(self) -> dict[str, Any]:
        """The constructor's arguments, for people to read; a prior is shown as text."""
        return {
            **self.operator.config(),
            "bias": self.bias is not None,
            "noise": {"law": type(self.noise).__name__, **self.noise.config()},
            "prior": str(self.prior),
            "estimator": self.estimator,
            "scale": self.scale,
        }

    def extra_repr(self) -> str:
        """The constructor's arguments, for `print(layer)`."""
        shown = {k: v for k, v in self.config().items() if k not in ("noise", "prior")}
        return ", ".join(f"{k}={v!r}" for k, v in shown.items()) + f", noise={self.noise}"

    def _local(self, x: Tensor) -> Tensor:
        weight = self._moments(self.weight, self.weight_raw)
        bias = None if self.bias is None else self._moments(self.bias, self.bias_raw)
        return local(self.operator, x, weight, bias, self.source)

    def _moments(self, location: Tensor, raw: Tensor | None) -> tuple[Tensor, Tensor]:
        """Mean and variance of a Gaussian weight."""
        blocks = blocks_of(self.noise, location, raw)
        if self._quick(blocks):
            return location, squared_scale(blocks[1], self._min_scale)
        return location, self.noise.constrain(blocks)[1].square()

    def _flipout(self, x: Tensor) -> Tensor:
        away = self._drawn((torch.zeros_like(self.weight), *self.posterior()["weight"][1:]))
        h = flipout(self.operator, x, self.weight, away, self.bias, self.source)
        return h if self.bias is None else h + self._bias_noise(h)

    def _bias_noise(self, h: Tensor) -> Tensor:
        """Noise of the bias, drawn for each record like that of the weights."""
        location, *rest = self.weight_params()["bias"]
        axis = h.dim() + self.operator.channel_axis
        shape = (*h.shape[:axis], self.operator.outputs)
        around_zero = (torch.zeros_like(location), *rest)
        params: Params = tuple(values.expand(shape) for values in around_zero)
        return self.operator.per_output(self._transformed(params)).to(h.dtype)

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        *args: Any,
        **kwargs: Any,
    ) -> None:
        raws = {"weight_raw": self.weight_raw, "bias_raw": self.bias_raw}
        own: dict[str, Tensor] = {k: v for k, v in raws.items() if v is not None}
        add_missing(state_dict, prefix, own, is_assigned(local_metadata))
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args, **kwargs)


def take_over(layer: BayesianKernel, module: nn.Module) -> None:
    """Copy the plain layer's weights into the means, and whether they are to be trained."""
    with torch.no_grad():
        for name, raw in (("weight", layer.weight_raw), ("bias", layer.bias_raw)):
            mean, plain = getattr(layer, name), getattr(module, name)
            if plain is not None:
                mean.copy_(plain)
                mean.requires_grad_(plain.requires_grad)
                if raw is not None:
                    raw.requires_grad_(plain.requires_grad)
    layer.train(module.training)
