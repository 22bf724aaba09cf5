"""A stochastic transformer layer: torch's own encoder layer, its output sampled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.errors import DataError, SettingError
from sfumato.nn.base import GAUSSIAN, check_positive
from sfumato.nn.bound import BoundLike
from sfumato.nn.inputs import check_real
from sfumato.nn.sequences.headed import HeadedLayer, built, of_trunk
from sfumato.noise import NoiseLaw

Activation = str | Callable[[Tensor], Tensor]


@final
class StochasticTransformerEncoderLayer(HeadedLayer):
    """A transformer encoder layer whose output is sampled, for each record and step (spec 1 §1).

    y = the layer's output by torch's fused kernels; μ = y, σ = softplus(W y + b) + min_scale,
    h = μ + σ ε. It stands in a `torch.nn.TransformerEncoder` as the plain layer does; give that
    `enable_nested_tensor=False`, or it warns that its shortcut is for plain layers only.

    The arguments are those of `torch.nn.TransformerEncoderLayer`, then `noise` (the noise law),
    `bound` (clamp the location to (low, high)) and `scale`: the scale to start from, the same for
    every input. Without it the head W, b starts as `torch.nn.Linear` does. An `activation` other
    than relu and gelu is text in `config()`, from which no layer can be made: an obfuscator with
    such a one is loaded with `layer=...`.

    Raises:
        SettingError: sizes that torch refuses, an activation given by another name than "relu" or
            "gelu", or a `scale` that does not fit the law.

    Example:
        >>> import torch
        >>> layer = StochasticTransformerEncoderLayer(8, 2, 16, batch_first=True)
        >>> layer(torch.zeros(2, 5, 8)).shape
        torch.Size([2, 5, 8])
    """

    kind = nn.TransformerEncoderLayer

    # What torch.nn.TransformerEncoder reads from its first layer.
    self_attn = of_trunk("self_attn")
    linear1 = of_trunk("linear1")
    linear2 = of_trunk("linear2")
    norm1 = of_trunk("norm1")
    norm2 = of_trunk("norm2")
    norm_first = of_trunk("norm_first")

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        noise: NoiseLaw = GAUSSIAN,
        bound: BoundLike = None,
        *,
        scale: float | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        if isinstance(activation, str) and activation not in ("relu", "gelu"):
            raise SettingError(
                f"an activation by name is 'relu' or 'gelu', not {activation!r}: give the function "
                "itself; for a saved obfuscator, build the layer with it and pass it as layer=..."
            )
        check_positive(d_model=d_model, nhead=nhead, dim_feedforward=dim_feedforward)
        trunk = built(
            nn.TransformerEncoderLayer,
            d_model=d_model,
            nhead=nhead,
            dim_feedforward=dim_feedforward,
            dropout=dropout,
            activation=activation,
            layer_norm_eps=layer_norm_eps,
            batch_first=batch_first,
            norm_first=norm_first,
            bias=bias,
            device=device,
            dtype=dtype,
        )
        super().__init__(trunk, noise, bound, scale)

    def blocks(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Sequence[Tensor]:
        return self._blocks(self._run(src, src_mask, src_key_padding_mask, is_causal))

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
        eps: Tensor | None = None,
    ) -> Tensor:
        """Pass on a sample.

        Args:
            src: `[T, B, d_model]`, `[B, T, d_model]` with `batch_first`, or `[T, d_model]`.
            src_mask: which steps may see which, `[T, T]` or `[B * nhead, T, T]`.
            src_key_padding_mask: which steps are padding, `[B, T]` or `[T]`.
            is_causal: say that `src_mask` is the causal one.
            eps: the noise to use, of the shape of `src`; drawn afresh when it is None. For a
                nested tensor it is that of its steps one after another, `[steps, d_model]`.

        Returns:
            A sample of the shape of `src`.

        Raises:
            DataError: `src` or a mask has the wrong shape, or `src` is not of real numbers.
        """
        y = self._run(src, src_mask, src_key_padding_mask, is_causal)
        if not y.is_nested:
            return self._sampled(y, eps)
        # torch.nn.TransformerEncoder leaves padding out: noise is drawn for the steps there are.
        records = y.unbind()
        steps = self._sampled(torch.cat(records), eps)
        return torch.nested.as_nested_tensor(list(steps.split([len(r) for r in records])))

    def config(self) -> dict[str, Any]:
        trunk = self.trunk
        return {
            "d_model": trunk.self_attn.embed_dim,
            "nhead": trunk.self_attn.num_heads,
            "dim_feedforward": trunk.linear1.out_features,
            "dropout": trunk.dropout.p,
            "activation": _described(trunk.activation),
            "layer_norm_eps": trunk.norm1.eps,
            "batch_first": trunk.self_attn.batch_first,
            "norm_first": trunk.norm_first,
            "bias": trunk.linear1.bias is not None,
            **self._law_config(),
        }

    def _width(self) -> int:
        return self.trunk.self_attn.embed_dim

    def _run(self, src: Tensor, mask: Tensor | None, padding: Tensor | None, causal: bool) -> Any:
        check_real(type(self).__name__, src)
        if not src.is_nested:
            self._check(src, mask, padding)
        return self.trunk(src, mask, padding, causal)

    def _check(self, src: Tensor, mask: Tensor | None, padding: Tensor | None) -> None:
        name, width, shape = type(self).__name__, self._width(), list(src.shape)
        first = self.self_attn.batch_first
        if src.dim() not in (2, 3):
            axes = "[B, T, d_model]" if first else "[T, B, d_model]"
            raise DataError(f"{name} needs an input of {axes} or [T, d_model], not {shape}")
        if src.shape[-1] != width:
            raise DataError(
                f"{name} was made for {width} input features, "
                f"but the input {shape} has {src.shape[-1]}"
            )
        steps = src.shape[1 if first and src.dim() == 3 else 0]
        batch = [] if src.dim() == 2 else [src.shape[0 if first else 1]]
        heads = [(batch[0] if batch else 1) * self.self_attn.num_heads]
        if mask is not None and list(mask.shape) not in ([steps, steps], [*heads, steps, steps]):
            raise DataError(
                f"src_mask must be {[steps, steps]} or {[*heads, steps, steps]} for an input of "
                f"{shape}, not {list(mask.shape)}"
            )
        if padding is not None and list(padding.shape) != [*batch, steps]:
            raise DataError(
                f"src_key_padding_mask must be {[*batch, steps]} for an input of {shape}, "
                f"not {list(padding.shape)}"
            )


def _described(activation: Any) -> str:
    """The name by which torch makes this very function, or else a text that no name equals."""
    if activation is F.relu or type(activation) is nn.ReLU:
        return "relu"
    if activation is F.gelu or (type(activation) is nn.GELU and activation.approximate == "none"):
        return "gelu"
    if isinstance(activation, nn.Module):
        return f"{type(activation).__module__}.{activation}"
    if isinstance(activation, partial):
        given = (_described(activation.func), activation.args, activation.keywords)
        return f"partial{given}"
    named = activation if hasattr(activation, "__qualname__") else type(activation)
    return f"{named.__module__}.{named.__qualname__}"
