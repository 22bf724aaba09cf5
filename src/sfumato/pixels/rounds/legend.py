"""What an annotator may answer, told by the task."""

from __future__ import annotations

from sfumato.errors import SettingError
from sfumato.pixels.formats.model import Legend
from sfumato.pixels.tasks import Segmentation, Task


def legend_of(task: Task) -> Legend:
    """The classes of a segmentation, or one number in the task's unit.

    Raises:
        SettingError: a pixel of the task has several numbers, which no format can carry.

    Example:
        >>> from sfumato.pixels.tasks import Depth
        >>> legend_of(Depth()).unit
        'm'
        >>> legend_of(Segmentation(2, ("sky", "road"))).classes
        ('sky', 'road')
    """
    if isinstance(task, Segmentation):
        return Legend(task.names)
    if task.channels != 1:
        raise SettingError(
            f"an answer is one class or one number, and a pixel of this task has {task.channels}"
        )
    return Legend(unit=str(getattr(task, "unit", "")))
