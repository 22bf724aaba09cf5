"""What Python may do with a tensor: look at its values, take a way past plain operations."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch._C._functorch import (
    get_unwrapped,
    is_batchedtensor,
    is_gradtrackingtensor,
    peek_interpreter_stack,
)
from torch.autograd import forward_ad


def readable(values: Tensor) -> bool:
    """Whether Python may branch on `values`.

    It may not while a graph is traced, on the meta device, or under `torch.vmap`, where a tensor
    stands for many.
    """
    if torch.compiler.is_compiling() or values.is_meta:
        return False
    while is_gradtrackingtensor(values):  # torch.func.grad
        values = get_unwrapped(values)
    return not is_batchedtensor(values)


def eager(values: Tensor) -> bool:
    """Whether `values` is a plain tensor outside every tracer and transform.

    Only then may a layer take a way of its own (in-place draws, an autograd node); a compiler,
    `torch.func`, forward-mode differentiation and tensor subclasses need plain operations.
    """
    if torch.compiler.is_compiling() or torch.jit.is_tracing():  # pyright: ignore[reportPrivateImportUsage]
        return False
    plain = type(values) in (Tensor, nn.Parameter) and not values.is_meta
    return plain and peek_interpreter_stack() is None and forward_ad._current_level < 0
