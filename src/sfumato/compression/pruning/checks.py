"""Whether records and a network fit each other, before any work is done."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sfumato.compression.counting import evaluating
from sfumato.compression.wiring.wired import check_records, check_weights
from sfumato.errors import DataError, SettingError

Records = tuple[Tensor, Tensor]


def check_data(train: Records, validation: Records) -> None:
    """Raise a `DataError` where records or labels cannot be used."""
    for name, (inputs, labels) in (("training", train), ("validation", validation)):
        check_records(inputs)
        if not isinstance(labels, Tensor):
            raise DataError(f"{name} labels are a tensor [N], not {type(labels).__name__}")
        whole = not labels.is_floating_point() and labels.dtype != torch.bool
        if labels.shape != (len(inputs),) or not whole:
            raise DataError(
                f"{len(inputs)} {name} records need as many whole numbers for labels, not "
                f"{list(labels.shape)} of {labels.dtype}"
            )
        if int(labels.min()) < 0:
            raise DataError(f"labels begin at 0, and a {name} label is {int(labels.min())}")
    if train[0].shape[1:] != validation[0].shape[1:]:
        shapes = [list(inputs.shape[1:]) for inputs in (train[0], validation[0])]
        raise DataError(f"training records are {shapes[0]}, validation records {shapes[1]}")
    if len(train[1].unique()) < 2:
        raise DataError("all training records are of one class: there is nothing to tell apart")


def check_logits(model: nn.Module, train: Records, validation: Records) -> None:
    """Raise a `SettingError` where the network does not tell these classes apart."""
    check_weights(model)
    few = train[0][:2]
    try:
        with evaluating(model), torch.no_grad():
            logits = model(few)
    except (RuntimeError, ValueError) as error:
        raise SettingError(
            f"the network does not take records of shape {list(few.shape[1:])}: {error}"
        ) from error
    classes = 1 + max(int(labels.max()) for _, labels in (train, validation))
    if not isinstance(logits, Tensor) or logits.dim() != 2 or logits.shape[1] < classes:
        found = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise SettingError(f"the network must give logits [N, {classes} or more], not {found}")
