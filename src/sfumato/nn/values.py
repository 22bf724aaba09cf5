"""Whether the values of a tensor can be looked at, or only its shape."""

from __future__ import annotations

import torch
from torch import Tensor
from torch._C._functorch import get_unwrapped, is_batchedtensor, is_gradtrackingtensor


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
