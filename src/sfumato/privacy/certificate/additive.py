"""Additive noise: scales and shifts are free tensors that no record changes."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from sfumato.nn import AdditiveNoise, ConditionalAdditiveNoise, SoftSelection
from sfumato.nn.bound import Bound
from sfumato.privacy.certificate.facts import NO_BOUND, Facts, Family, Unproved, covered, unit

Additive = AdditiveNoise | ConditionalAdditiveNoise


def additive_facts(
    layer: Additive, family: Family, radius: float | None, selection: nn.Module | None
) -> Facts:
    """The facts of an additive layer behind regular layers of norm `radius`, if they have one.

    Raises:
        Unproved: neither a bound nor a norm limits the location.
    """
    shifts, scales, classes = _blocks(layer, selection)
    reach = None
    if radius is not None and layer.weight.dtype in (torch.float32, torch.float64):
        # x + μ is rounded: by as much as a location may step out of the ball around μ
        slack = unit(layer.weight) * (shifts.abs() + radius).norm(dim=1)
        reach = radius + slack
    box = box_width(layer.bound)
    if box is None and reach is None:
        if radius is None:
            raise Unproved(NO_BOUND)
        raise Unproved("half precision rounds the clipped location: use float32")
    return Facts(
        family=family,
        low=scales,
        high=scales,
        box=box,
        radius=reach,
        centre=shifts,
        classes=classes,
        unlabelled=covered(selection),
        ground=ground_of(layer.bound, radius),
    )


def box_width(bound: Bound | None) -> float | None:
    """The width of the interval that a location is clamped to, rounding included."""
    if bound is None:
        return None
    return bound.high - bound.low + 2**-22 * max(abs(bound.low), abs(bound.high))


def ground_of(bound: Bound | None, radius: float | None) -> str:
    """What limits the location, in words."""
    parts = []
    if radius is not None:
        parts.append(f"records are clipped to a norm of {radius:g} before the noise")
    if bound is not None:
        parts.append(f"locations are clamped to [{bound.low:g}, {bound.high:g}]")
    return " and ".join(parts)


def _blocks(layer: Additive, selection: nn.Module | None) -> tuple[Tensor, Tensor, int]:
    """Shift and scale of every mechanism, `[M, n]` in float64, and the number of classes."""
    if isinstance(layer, AdditiveNoise):
        shifts, scales = _constrained(layer, layer.weight.unsqueeze(0))
        return shifts, scales, 1
    classes = layer.num_classes
    shifts, scales = _constrained(layer, layer.weight)
    if not isinstance(selection, SoftSelection) or not covered(selection):
        return shifts, scales, classes
    if selection.combine == "mixture" and math.prod(selection.shape) == 1:
        return shifts, scales, classes  # a class drawn for each record: no worse than the worst
    if selection.combine == "mixture":  # drawn for each element: no worse than its smallest scale
        more = (shifts.abs().amax(0), scales.amin(0))
    else:
        merged = (selection().to(layer.weight.dtype)).reshape(classes, 1, *_full(selection, layer))
        more = tuple(
            block[0] for block in _constrained(layer, (merged * layer.weight).sum(0, keepdim=True))
        )
    return torch.cat([shifts, more[0][None]]), torch.cat([scales, more[1][None]]), classes


def _full(selection: SoftSelection, layer: Additive) -> tuple[int, ...]:
    return (*selection.shape, *(1,) * (len(layer.shape) - len(selection.shape)))


def _constrained(layer: Additive, raw: Tensor) -> tuple[Tensor, Tensor]:
    """The shift and the scale that the layer draws with, flat and in float64."""
    shift, scale = layer.noise.constrain((raw[:, 0], raw[:, 1]))
    return shift.double().flatten(1), scale.double().flatten(1)
