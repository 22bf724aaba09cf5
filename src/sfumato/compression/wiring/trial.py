"""A group is tried before anything of it is removed for good."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from sfumato.compression.kernels import channel_axis, on_input
from sfumato.compression.likeness import ROUNDING, distance, tensors_of
from sfumato.compression.wiring.axes import Axis
from sfumato.errors import DataError, SettingError

if TYPE_CHECKING:
    from sfumato.compression.wiring.wired import Wiring

TRIED = 16
"""Records on which every group is tried."""


def tried(plain: nn.Module, wiring: Wiring, name: str, few: Tensor) -> bool:
    """Whether neurons of a group can go, one and half of them.

    Not where the network's output would change its shape.

    Raises:
        SettingError: without them the network is another function than with them at zero.
    """
    if wiring.sizes[name] < 2:
        return True
    half = _every_second(plain, wiring, name, few)
    return all(_without(plain, wiring.copy(), name, gone, few) for gone in (half[:1], half))


def _without(plain: nn.Module, wiring: Wiring, name: str, gone: Sequence[int], few: Tensor) -> bool:
    told = f"{len(gone)} of the {wiring.sizes[name]} neurons of {name!r}"
    with torch.no_grad():
        with wiring.masking(plain, {name: gone}):
            masked = tensors_of(plain(few))
        if not all(bool(each.isfinite().all()) for each in masked):
            raise DataError("what the network gives is NaN or infinite: train it anew")
        smaller = copy.deepcopy(plain)
        wiring.remove(smaller, {name: gone})
        try:
            found = tensors_of(smaller(few))
        except Exception as error:  # whatever a forward may raise at other sizes
            raise SettingError(
                f"the network does not run without {told} ({error}): a size or a number of groups "
                "may be written into it, as in a channel shuffle; take it from the tensor, or "
                f"keep them whole, keep=[{name!r}] (--keep {name})"
            ) from error
    if [each.shape for each in found] != [each.shape for each in masked]:
        return False
    apart = distance(found, masked)
    if not apart <= ROUNDING:
        raise SettingError(
            f"without {told} the network is not what it is with these at zero (outputs differ by "
            f"{apart:.2g}): something after them looks at all neurons together, such as a layer "
            "norm, or changes their order, such as a channel shuffle or a view of transposed "
            f"channels; keep them whole, keep=[{name!r}] (--keep {name})"
        )
    return True


def _every_second(plain: nn.Module, wiring: Wiring, name: str, few: Tensor) -> list[int]:
    """Half of a group, the loudest neuron first: without silent ones alone nothing changes."""
    total = torch.zeros(wiring.sizes[name])

    def hear(axis: Axis) -> Any:
        def note(module: nn.Module, x: Tensor) -> None:
            where = channel_axis(module, x)
            others = [number for number in range(x.dim()) if number != where]
            loud = x.abs().sum(others).float().cpu()
            total.add_(axis.summed(loud, wiring.number(name), len(total)))

        return note

    hooks = [on_input(plain.get_submodule(axis.module), hear(axis)) for axis in wiring.reads(name)]
    try:
        plain(few)
    finally:
        for hook in hooks:
            hook.remove()
    return torch.nan_to_num(total).argsort(descending=True)[::2].tolist()
