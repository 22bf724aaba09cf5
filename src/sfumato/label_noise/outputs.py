"""What a network says of records on its mean path, and what its stochastic layers emit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from sfumato.errors import DataError, SettingError, SfumatoError
from sfumato.nn.mode import sampling
from sfumato.nn.record import record


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, the mean path and no gradient inside the block."""
    before = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad(), sampling(model, "mean"):
            yield
    finally:
        for module, training in before.items():
            module.training = training


def check_takes(model: nn.Module, inputs: Tensor) -> None:
    """Raise a `SettingError` where the model cannot be called with records like these."""
    try:
        with evaluating(model):
            model(inputs[:2])
    except SfumatoError:
        raise
    except (RuntimeError, TypeError, ValueError) as error:
        raise SettingError(
            f"the model does not take records of shape {list(inputs.shape[1:])} and {inputs.dtype}:"
            f" {error}"
        ) from error


def mean_logits(model: nn.Module, inputs: Tensor, batch_size: int = 1024) -> Tensor:
    """Logits `[N, C]` on the mean path, in evaluation mode.

    Raises:
        DataError: no records, or logits that are NaN.
        SettingError: the model does not take such records, or gives something other than
            `[B, C]`.
    """
    if len(inputs) == 0:
        raise DataError("there are no records")
    check_takes(model, inputs)
    with evaluating(model):
        logits = torch.cat([model(x) for x in inputs.split(batch_size)])
    if logits.dim() != 2 or len(logits) != len(inputs) or logits.shape[1] < 2:
        raise SettingError(
            f"the model must give logits [{len(inputs)}, 2 or more classes], not "
            f"{list(logits.shape)}"
        )
    if bool(logits.isnan().any()):
        raise DataError("the model gives NaN: look for NaN in the records or in the weights")
    return logits


def log_spread(model: nn.Module, inputs: Tensor, batch_size: int = 1024) -> Tensor:
    """The log σ of each record `[N]` on the mean path: mean over neurons, then over layers.

    Spec 4 §4.3, fig. 3b and 3c: what the stochastic layers think of a record. The neurons of a
    convolution are its channels at every place.

    Raises:
        DataError: no records, or a spread that is NaN.
        SettingError: the network has no stochastic layer.
    """
    if len(inputs) == 0:
        raise DataError("there are no records")
    parts = []
    for x in inputs.split(batch_size):
        with evaluating(model), record(model) as emitted:
            model(x)
        layers = list(emitted.log_scales.values())
        if not layers:
            raise SettingError(
                "the spread of a record needs a network with stochastic layers: make some of its "
                'layers stochastic with sf.convert(model, {"0": "stochastic"})'
            )
        parts.append(torch.stack([layer.flatten(1).mean(1) for layer in layers]).mean(0))
    spread = torch.cat(parts)
    if bool(spread.isnan().any()):
        bad = int(spread.isnan().nonzero()[0])
        raise DataError(
            f"the spread of record {bad} is NaN: look for NaN in the records or in the weights"
        )
    return spread
