"""Multiplications, parameters and stored activations, counted as in spec 4 §4.1."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn

from sfumato.compression.kernels import (
    NORMS,
    STOCHASTIC,
    TRANSPOSED,
    is_unknown_sampler,
    kernel_of,
)
from sfumato.errors import SettingError, SfumatoError
from sfumato.nn.base import SamplingModule
from sfumato.nn.mode import sampling

_UNCOUNTED = (nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention, nn.Bilinear)


@final
@dataclass(frozen=True)
class Count:
    """What a network costs for one record.

    Args:
        parameters: weights and biases.
        multiplications: of one record; additions, biases and batch norm are not counted.
        activations: values that a run stores: what every layer with a kernel passes on.
    """

    parameters: int
    multiplications: int
    activations: int


def count(model: nn.Module, input_shape: Sequence[int]) -> Count:
    """What a network costs, counted as spec 4 does (§4.1, footnote 2).

    - A multiplication is one FLOP. Counted are those of `nn.Linear` and of convolutions, grouped
      and transposed ones too, for every call; additions, biases, batch norm and pooling are not.
    - Parameters are weights and biases, shared ones once. Batch norm folds into the layer before
      it, and is not counted.
    - Activations are the maps that layers with a kernel pass on, before pooling, logits included.
      On LeNet-5 these are 20 · 24² + 50 · 8² + 500 + 10 = 15,230 values, spec 4's table 1.

    A stochastic layer counts as its mean path, which is all that a test needs. Multiplications
    that a model makes in functions (`torch.matmul`) are not seen.

    Args:
        model: any network; it is run once, in evaluation mode.
        input_shape: of one record, without the batch; a record of whole numbers where the network
            begins with `nn.Embedding`.

    Returns:
        The count.

    Raises:
        SettingError: the network does not take such a record, or has layers that cannot be counted
            (recurrent, attention, Bayesian).

    Example:
        >>> from sfumato.train import lenet5
        >>> count(lenet5(), (1, 28, 28))
        Count(parameters=431080, multiplications=2293000, activations=15230)
    """
    _check(model)
    multiplications = activations = 0

    def see(
        module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any], output: Tensor
    ) -> None:
        nonlocal multiplications, activations
        kernel = kernel_of(module)
        if kernel is None:
            return
        if isinstance(module, TRANSPOSED):
            each = kernel.outputs // kernel.groups * kernel.taps
            multiplications += (*inputs, *named.values())[0].numel() * each
        else:
            multiplications += output.numel() * (kernel.inputs // kernel.groups) * kernel.taps
        activations += output.numel()

    hooks = [
        module.register_forward_hook(see, with_kwargs=True)
        for module in model.modules()
        if kernel_of(module) is not None
    ]
    try:
        with evaluating(model), torch.no_grad():
            model(_record(model, input_shape))
    except SfumatoError:
        raise
    except Exception as error:  # whatever a model may raise at records of another shape
        raise SettingError(
            f"the network does not take a record of shape {list(input_shape)}: {error}"
        ) from error
    finally:
        for hook in hooks:
            hook.remove()
    return Count(_parameters(model), multiplications, activations)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[nn.Module]:
    """The mean path in evaluation mode; afterwards every module is in the mode it was in."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    draws = any(isinstance(module, SamplingModule) for module in modes)
    try:
        with sampling(model, "mean") if draws else nullcontext():
            yield model
    finally:
        for module, mode in modes.items():
            module.training = mode


def _check(model: nn.Module) -> None:
    if not isinstance(model, nn.Module):
        raise SettingError(f"a model is a torch.nn.Module, not {type(model).__name__}")
    for name, module in model.named_modules():
        if isinstance(module, _UNCOUNTED) or is_unknown_sampler(module):
            raise SettingError(
                f"the multiplications of {name or 'the model'}, {type(module).__name__}, cannot "
                "be counted: only those of linear and convolutional layers can"
            )


def _record(model: nn.Module, shape: Sequence[int]) -> Tensor:
    like = next((p for p in model.parameters() if p.is_floating_point()), torch.zeros(()))
    first = next(
        (m for m in model.modules() if next(m.parameters(recurse=False), None) is not None), None
    )
    if isinstance(first, nn.Embedding):
        return torch.zeros((1, *shape), dtype=torch.long, device=like.device)
    return torch.zeros((1, *shape), dtype=like.dtype, device=like.device)


def _parameters(model: nn.Module) -> int:
    seen: set[Tensor] = set()
    total = 0
    for module in model.modules():
        own = {p for p in module.parameters(recurse=False) if p not in seen}
        seen |= own
        if isinstance(module, NORMS):
            continue
        sizes = sum(p.numel() for p in own)
        total += sizes // module.noise.num_params if isinstance(module, STOCHASTIC) else sizes
    return total
