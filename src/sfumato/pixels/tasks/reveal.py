"""What buying pixels brings: their labels, where the measurement did not fail."""

from __future__ import annotations

from torch import Tensor

from sfumato.errors import DataError
from sfumato.pixels.tasks.base import Task


def reveal(task: Task, mask: Tensor, target: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """The bought labels as values, and where there are some: M ⊙ S of spec 5, page 8.

    A failed measurement (not valid) was paid for and shows nothing: values and shown are 0 there.

    Args:
        task: says how labels are shown.
        mask: `[B, 1, H, W]`, what was bought; its gradient passes to both results.
        target: as the scenes hold it.
        valid: `[B, 1, H, W]`, bool.

    Returns:
        Values `[B, V, H, W]` and shown `[B, 1, H, W]`.

    Raises:
        DataError: shapes that do not belong together.

    Example:
        >>> import torch
        >>> from sfumato.pixels.tasks import Depth
        >>> mask, target = torch.ones(1, 1, 1, 2), torch.full((1, 1, 1, 2), 3.0)
        >>> values, shown = reveal(Depth(), mask, target, torch.tensor([[[[True, False]]]]))
        >>> values.tolist(), shown.tolist()
        ([[[[3.0, 0.0]]]], [[[[1.0, 0.0]]]])
    """
    if mask.shape != valid.shape or mask.shape[2:] != target.shape[2:]:
        raise DataError(
            f"a mask {list(mask.shape)}, a target {list(target.shape)} and valid "
            f"{list(valid.shape)} are not of the same pictures"
        )
    shown = mask * valid
    return task.encode(target) * shown, shown
