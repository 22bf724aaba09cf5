"""The selection that step 2 of a fit begins with, tried before any time is spent on step 1."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sfumato.data.records import Records
from sfumato.nn import SoftSelection
from sfumato.obfuscation.fit_settings import FitSettings
from sfumato.obfuscation.freezing import frozen
from sfumato.obfuscation.obfuscator import Obfuscator
from sfumato.placement.before import output_of
from sfumato.train import seeded


def first_selection(
    obfuscator: Obfuscator, records: Records, settings: FitSettings, seed: int
) -> nn.Module:
    """The obfuscator's selection, or a soft one of the settings; a few records pass through it.

    By default it has a value for each class and each element of what the layer reads, which the
    regular layers before it may have given another shape; or of the release, if its place is the
    output.

    Raises:
        DataError: the records, the regular layers, the layer and the selection do not fit.
    """
    some = records.inputs[:2], records.labels[:2]
    with torch.no_grad(), seeded(seed, "first selection"), frozen(obfuscator):
        selection = obfuscator.selection
        if selection is None:
            assert obfuscator.num_classes is not None
            shape = _shape(obfuscator, settings, *some)
            place, combine = settings.place, settings.combine
            selection = SoftSelection(obfuscator.num_classes, shape, place, combine)
            selection.to(some[0].device)
        Obfuscator(obfuscator.layer, selection, obfuscator.pre).distribution(some[0])
    return selection


def _shape(
    obfuscator: Obfuscator, settings: FitSettings, x: Tensor, labels: Tensor
) -> tuple[int, ...]:
    if settings.shape is not None:
        return settings.shape
    if settings.place == "output":
        return tuple(obfuscator.distribution(x, labels).mean.shape[1:])
    return tuple(output_of(obfuscator.pre, x).shape[1:])
