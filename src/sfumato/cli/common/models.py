"""Whether a model of the user's own fits the records, told before any work is done with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from sfumato.cli.common.settings import model_factory
from sfumato.data import Records
from sfumato.errors import SettingError
from sfumato.label_noise.outputs import evaluating
from sfumato.train import seeded

MISFITS = (RuntimeError, TypeError, ValueError, IndexError, ZeroDivisionError)
"""What a factory or a model raises that is made for other records."""


def new_model(name: str | None, records: Records, seed: int, *purpose: str) -> nn.Module:
    """A new model for these records by the factory that `--model` names.

    Raises:
        SettingError: there is no such factory, it cannot be called so, or it makes no model.
    """
    factory = model_factory(name)
    return made_by(name, factory, records.shape, records.num_classes, seed, *purpose)


def made_by(
    name: str | None,
    factory: Callable[..., Any],
    shape: Sequence[int],
    classes: int,
    seed: int,
    *purpose: str,
) -> nn.Module:
    """A new model by a factory, which messages call by the name that `--model` gives it.

    Raises:
        SettingError: it cannot be called so, or makes no model.
    """
    try:
        with seeded(seed, *purpose):
            model = factory(tuple(shape), classes)
    except MISFITS as error:
        raise SettingError(
            f"{_called(name)} cannot be called with the shape {list(shape)} and "
            f"{classes} classes: {error}"
        ) from error
    if not isinstance(model, nn.Module):
        raise SettingError(f"{_called(name)} must return an nn.Module, not {type(model).__name__}")
    return model


def check_model(name: str | None, records: Records) -> None:
    """Say before the work that the model does not take these records, or has too few classes.

    Raises:
        SettingError: so it is.
    """
    check_fit(name, new_model(name, records, 0, "model"), records.inputs, records.num_classes)


def check_fit(name: str | None, model: nn.Module, inputs: Tensor, classes: int) -> None:
    """The same of a model that is made already.

    Raises:
        SettingError: it does not take records like `inputs`, or gives no logits of `classes`.
    """
    few = inputs[:2]
    try:
        with evaluating(model):
            logits = model(few)
    except MISFITS as error:
        raise SettingError(
            f"{_called(name)} does not take records of shape {list(few.shape[1:])}: {error}"
        ) from error
    if not isinstance(logits, Tensor) or logits.dim() != 2 or len(logits) != len(few):
        given = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise SettingError(
            f"{_called(name)} must give logits [{len(few)}, {classes}] for "
            f"{len(few)} records, not {given}"
        )
    if logits.shape[1] < classes:
        raise SettingError(
            f"{_called(name)} tells {logits.shape[1]} classes apart, and the data has {classes}"
        )


def _called(name: str | None) -> str:
    return f"--model {name}" if name else "the network that is used without --model"
