"""Kernel layers: location and scale are linear in the record, or in what of it is clipped."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from sfumato.errors import SettingError
from sfumato.nn.kernels import KernelLayer
from sfumato.nn.operator import ConvOperator, LinearOperator
from sfumato.privacy.certificate.additive import box_width, ground_of
from sfumato.privacy.certificate.facts import NO_BOUND, Facts, Family, Unproved, unit


def kernel_facts(
    layer: KernelLayer,
    family: Family,
    radius: float | None,
    shape: Sequence[int] | None,
    gated: bool,
) -> Facts:
    """The facts of a fully connected or convolutional layer.

    Args:
        layer: the layer; a conditional one has a mechanism for each class.
        family: of its noise.
        radius: the norm of what comes in, if it is clipped.
        shape: of one release.
        gated: whether there is a learned selection: it is not covered.

    Raises:
        Unproved: the location or the scale has no bound.
    """
    weight, bias = _stacked(layer)
    outputs, box = layer.operator.outputs, box_width(layer.bound)
    (location, raw), (shift, rho) = (t.split(outputs, 1) for t in (weight, bias))
    low, high = _scales(layer, raw, rho, radius)
    if box is None and radius is None:
        raise Unproved(NO_BOUND)
    places = _places(layer, shape)
    reach = _reach(layer, location, shift.repeat(1, places), radius)
    if box is None and reach is None:
        raise Unproved(NO_BOUND)
    return Facts(
        family=family,
        low=low.repeat(1, places),
        high=high.repeat(1, places),
        box=box,
        radius=reach,
        centre=shift.repeat(1, places),
        classes=len(weight),
        unlabelled=not gated,
        ground=ground_of(layer.bound, radius),
        unchecked=(f"a release is {' × '.join(map(str, shape or ()))} in size",),
    )


def _stacked(layer: KernelLayer) -> tuple[Tensor, Tensor]:
    """Kernels `[M, P * out, inputs]` and biases `[M, P * out]`, in float64."""
    one = layer.weight.dim() == len(layer.operator.kernel_shape(1))
    weight = (layer.weight.unsqueeze(0) if one else layer.weight).double().flatten(2)
    if layer.bias is None:
        return weight, weight.new_zeros(weight.shape[:2])
    return weight, (layer.bias.unsqueeze(0) if one else layer.bias).double()


def _places(layer: KernelLayer, shape: Sequence[int] | None) -> int:
    """How many places share a kernel's output: positions of a picture, steps of a sequence."""
    operator = layer.operator
    if shape is None:
        # A fully connected layer takes sequences too, of any length: a vector is not to be assumed.
        raise Unproved("the size of a release is not known: pass shape=, that of one release")
    channels = shape[operator.channel_axis] if len(shape) > operator.spatial else 0
    if channels != operator.outputs:
        raise SettingError(
            f"a release of {list(shape)} does not come from a layer with {operator.outputs} outputs"
        )
    return math.prod(shape) // channels


def _scales(
    layer: KernelLayer, raw: Tensor, rho: Tensor, radius: float | None
) -> tuple[Tensor, Tensor]:
    """The smallest and the largest scale of every output, `[M, out]`."""
    slope = raw.norm(dim=2)
    if bool((slope == 0).all()):
        scale = _constrained(layer, rho)
        return scale, scale
    if radius is None:
        raise Unproved(
            "the scale depends on the record and has no upper bound: use additive noise, or clip "
            "what comes in with sf.nn.ClipNorm"
        )
    operator = layer.operator
    if isinstance(operator, ConvOperator) and operator.padding_mode != "zeros":
        raise Unproved(
            "the scale depends on the record, and a padding that repeats it is not bounded"
        )
    swing = radius * slope * (1 + _roundings(layer, raw))
    swing = swing + unit(layer.weight) * (swing + rho.abs())  # the sum with the bias is rounded
    return _constrained(layer, rho - swing), _constrained(layer, rho + swing)


def _reach(
    layer: KernelLayer, location: Tensor, shift: Tensor, radius: float | None
) -> Tensor | None:
    """How far a location can be from its bias: C ‖W‖₂ and what rounding adds.

    Also of a sequence, whose steps share C² and W.
    """
    whole = layer.weight.dtype in (torch.float32, torch.float64)
    if radius is None or not whole or not isinstance(layer.operator, LinearOperator):
        return None
    norms = torch.linalg.matrix_norm(location, 2)
    product = radius * (norms + _roundings(layer, location) * location.flatten(1).norm(dim=1))
    # The sum with the bias is rounded once more, relative to itself.
    return product + unit(layer.weight) * (product + shift.norm(dim=1))


def _roundings(layer: KernelLayer, kernel: Tensor) -> float:
    """The relative error of a product with `kernel`, in the worst case."""
    return (kernel.shape[2] + 2) * unit(layer.weight)


def _constrained(layer: KernelLayer, rho: Tensor) -> Tensor:
    return layer.noise.constrain((rho, rho))[1]
