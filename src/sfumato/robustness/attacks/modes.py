"""The state in which a model is attacked, put back afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from sfumato.errors import SettingError


@contextmanager
def attackable(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients of parameters inside the block, all as before after it.

    A model in training is put in evaluation, with all its parts. In a model in evaluation the
    parts stay as they are: dropout that was switched on by hand goes on drawing.

    Raises:
        SettingError: a batch norm in training, where records of one batch would change each other.
    """
    modes = {part: part.training for part in model.modules()}
    learns = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if model.training:
        model.eval()
    _check_norms(model)
    try:
        for parameter in learns:
            parameter.requires_grad_(False)
        yield
    finally:
        for part, training in modes.items():
            part.training = training
        for parameter in learns:
            parameter.requires_grad_(True)


def _check_norms(model: nn.Module) -> None:
    for name, part in model.named_modules():
        if isinstance(part, nn.modules.batchnorm._NormBase) and part.training:
            raise SettingError(
                f"the norm {name!r} is in training: the records of a batch would change each "
                "other; call eval() on it"
            )
