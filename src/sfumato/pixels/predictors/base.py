"""The signature of a predictor, and the check of a user's own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sfumato.errors import SettingError
from sfumato.pixels.tasks import Task


def check_inputs(image: Tensor, values: Tensor, mask: Tensor, channels: int, shown: int) -> None:
    """Raise `SettingError` unless these are inputs of a predictor with so many channels."""
    size = image.shape[2:]
    wanted = ([len(image), channels, *size], [len(image), shown, *size], [len(image), 1, *size])
    given = [list(each.shape) for each in (image, values, mask)]
    if given != list(wanted):
        raise SettingError(
            f"this predictor takes a picture, values and a mask of the shapes {wanted[0]}, "
            f"{wanted[1]} and {wanted[2]}, not {given[0]}, {given[1]} and {given[2]}"
        )


@torch.no_grad()
def check_predictor(predictor: nn.Module, image: Tensor, task: Task) -> None:
    """Try a predictor, perhaps a user's own, on one picture.

    A predictor is any module with `predictor(image [B, C, H, W], values [B, V, H, W],
    mask [B, 1, H, W]) -> [B, O, H, W]`. `values` holds the bought labels as the task encodes them
    and is 0 elsewhere; `mask` is 1 where a label was bought and the measurement succeeded. V and O
    are `task.channels` and `task.outputs`.

    Args:
        predictor: is called once, in evaluation mode.
        image: `[1, C, H, W]`.
        task: what it is to predict.

    Raises:
        SettingError: it cannot be called like this, gives another shape, or NaN.

    Example:
        >>> import torch
        >>> from sfumato.pixels.tasks import Depth
        >>> check_predictor(torch.nn.Conv2d(3, 1, 1), torch.rand(1, 3, 4, 4), Depth())
        Traceback (most recent call last):
        ...
        sfumato.errors.SettingError: the predictor Conv2d cannot be called as predictor(image ...
    """
    name, size = type(predictor).__name__, image.shape[2:]
    modes = [(part, part.training) for part in predictor.modules()]
    predictor.eval()
    try:
        values = image.new_zeros(1, task.channels, *size)
        found = predictor(image, values, image.new_zeros(1, 1, *size))
    except Exception as error:
        raise SettingError(
            f"the predictor {name} cannot be called as predictor(image {list(image.shape)}, values "
            f"{[1, task.channels, *size]}, mask {[1, 1, *size]}): {_reason(error)}"
        ) from error
    finally:
        for part, training in modes:
            part.training = training
    wanted = [1, task.outputs, *size]
    if not isinstance(found, Tensor) or list(found.shape) != wanted:
        got = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise SettingError(f"the predictor {name} must give {wanted}, not {got}")
    if not bool(torch.isfinite(found).all()):
        raise SettingError(
            f"the predictor {name} gives NaN or infinite values where no label was bought"
        )


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
