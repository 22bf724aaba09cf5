"""Noise that is correlated over a record, by layers L that turn the record before it."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from sfumato.data.records import Records, check_batch
from sfumato.errors import DataError, SettingError
from sfumato.obfuscation.obfuscator import Obfuscator
from sfumato.obfuscation.start import isotropic


@final
class Turned(nn.Module):
    """An obfuscator in coordinates of its own, and the way back from them.

    Args:
        obfuscator: L turns the record, then noise is added.
        restore: releases -> records' coordinates. Anyone may apply it: what is done to a release
            without the record tells nothing more.
        view: records -> what would be restored of their releases if there were no noise. A model
            that learns from restored releases sees clean records this way.
    """

    def __init__(self, obfuscator: Obfuscator, restore: nn.Module, view: nn.Module) -> None:
        super().__init__()
        self.obfuscator, self.restore, self.view = obfuscator, restore, view


def directions(records: Records) -> tuple[Tensor, Tensor]:
    """In which directions records of one class differ, and how much.

    The eigenvectors of the covariance within the classes, Σ_i (x_i - m_c)(x_i - m_c)ᵀ / N with c
    the class of record i, the largest eigenvalue first.

    Args:
        records: the clean part.

    Returns:
        Variances `[d]` and directions `[d, d]`, one a row, orthonormal.

    Raises:
        DataError: fewer than two records, or NaN or infinity among them.
    """
    if len(records) < 2:
        raise DataError(f"directions need at least two records, not {len(records)}")
    check_batch(records.inputs, records.labels, records.num_classes, records.name)
    flat, labels = records.inputs.flatten(1).double(), records.labels
    centred = flat.clone()
    for c in labels.unique().tolist():
        centred[labels == c] -= flat[labels == c].mean(0)
    values, axes = torch.linalg.eigh(centred.T @ centred / len(centred))
    return values.flip(0).clamp(min=0).float(), axes.T.flip(0).float()


def shaped(records: Records, scale: float, *, shrink: float = 0.3) -> Turned:
    """Noise shaped like the covariance within the classes: x + s Σ^½ ε.

    White noise on whitened records, so that every direction keeps the same share of what it had:
    the largest differences between records are hidden under the largest noise.

    Args:
        records: the clean part.
        scale: s.
        shrink: how far the variances go towards their mean, in (0, 1]; a direction in which the
            clean part does not differ would otherwise carry no noise. 1 is isotropic noise.

    Raises:
        SettingError: `shrink` out of range, or a `scale` not above the law's `min_scale`.
        DataError: see `directions`; or all records of a class are equal.
    """
    if not 0 < shrink <= 1:
        raise SettingError(f"shrink must lie in (0, 1], not {shrink}")
    values, axes = directions(records)
    spread = ((1 - shrink) * values + shrink * values.mean()).sqrt()
    if not float(spread.min()) > 0:
        raise DataError(f"the records of {records.name} do not differ within their classes")
    into = _linear(axes / spread.unsqueeze(1), records.shape)
    back = _linear((axes * spread.unsqueeze(1)).T, records.shape)
    layer = isotropic(records.shape, scale).layer
    return Turned(Obfuscator(layer, pre=into), back, nn.Identity())


def turned(records: Records, sigma: float) -> Turned:
    """Isotropic noise on the record in its directions: `sf.fit` then learns a scale for each.

    With `FitSettings(location="identity")`, and the model behind `restore`.

    Args:
        records: the clean part.
        sigma: the scale of the noise before any fit.
    """
    return kept(records, sigma, len(directions(records)[0]))


def kept(records: Records, sigma: float, count: int) -> Turned:
    """L keeps the `count` directions in which records of a class differ most, under white noise.

    Args:
        records: the clean part.
        sigma: the scale of the noise, in units of the record.
        count: how many directions.

    Raises:
        SettingError: `count` is not between 1 and the size of a record.
    """
    axes = _first(records, count)
    into = nn.Sequential(nn.Flatten(), _matrix(axes))
    made = Obfuscator(isotropic((len(axes),), sigma).layer, pre=into)
    view = nn.Identity() if count == axes.shape[1] else _linear(axes.T @ axes, records.shape)
    return Turned(made, _linear(axes.T, records.shape), view)


def hidden(records: Records, sigma: float, count: int) -> Turned:
    """L takes the `count` directions in which records of a class differ most out of the record.

    What is left is released under white noise; without noise, whatever tells of the hidden
    directions would be read off the others.

    Args:
        records: the clean part.
        sigma: the scale of the noise, in units of the record.
        count: how many directions.

    Raises:
        SettingError: `count` is not between 1 and the size of a record.
    """
    axes = _first(records, count)
    out = _linear(torch.eye(axes.shape[1]) - axes.T @ axes, records.shape)
    made = Obfuscator(isotropic(records.shape, sigma).layer, pre=out)
    return Turned(made, nn.Identity(), out)


def _first(records: Records, count: int) -> Tensor:
    size = torch.Size(records.shape).numel()
    if not 1 <= count <= size:
        raise SettingError(f"a record has 1 to {size} directions, not {count}")
    return directions(records)[1][:count]


def _matrix(weight: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False).requires_grad_(False)
    layer.weight.copy_(weight)
    return layer


def _linear(weight: Tensor, shape: tuple[int, ...]) -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), _matrix(weight), nn.Unflatten(1, shape))
