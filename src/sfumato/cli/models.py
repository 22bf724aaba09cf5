"""Whether a model of the user's own fits the records, told before any work is done with it."""

from __future__ import annotations

from torch import Tensor, nn

from sfumato.cli.settings import model_factory
from sfumato.data import Records
from sfumato.errors import SettingError
from sfumato.label_noise.outputs import evaluating
from sfumato.train import seeded


def new_model(name: str | None, records: Records, seed: int, *purpose: str) -> nn.Module:
    """A new model for these records by the factory that `--model` names.

    Raises:
        SettingError: there is no such factory, it cannot be called so, or it makes no model.
    """
    factory = model_factory(name)
    try:
        with seeded(seed, *purpose):
            model = factory(records.shape, records.num_classes)
    except TypeError as error:
        raise SettingError(
            f"{_called(name)} cannot be called with the shape {list(records.shape)} and "
            f"{records.num_classes} classes: {error}"
        ) from error
    if not isinstance(model, nn.Module):
        raise SettingError(f"{_called(name)} must return an nn.Module, not {type(model).__name__}")
    return model


def check_model(name: str | None, records: Records) -> None:
    """Say before the work that the model does not take these records, or has too few classes.

    Raises:
        SettingError: so it is.
    """
    model, few = new_model(name, records, 0, "model"), records.inputs[:2]
    try:
        with evaluating(model):
            logits = model(few)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise SettingError(
            f"{_called(name)} does not take records of shape {list(few.shape[1:])}: {error}"
        ) from error
    if not isinstance(logits, Tensor) or logits.dim() != 2 or len(logits) != len(few):
        given = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise SettingError(
            f"{_called(name)} must give logits [{len(few)}, {records.num_classes}] for "
            f"{len(few)} records, not {given}"
        )
    if logits.shape[1] < records.num_classes:
        raise SettingError(
            f"{_called(name)} tells {logits.shape[1]} classes apart, and the data has "
            f"{records.num_classes}"
        )


def _called(name: str | None) -> str:
    return f"--model {name}" if name else "the network that is used without --model"
