"""A task from its settings, as they stand in a results file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sfumato.errors import SettingError, StoreError
from sfumato.pixels.tasks.base import Task
from sfumato.pixels.tasks.depth import Depth
from sfumato.pixels.tasks.regression import Regression
from sfumato.pixels.tasks.segmentation import Segmentation

_TASKS = {"segmentation": Segmentation, "depth": Depth, "regression": Regression}


def task_from(settings: Mapping[str, Any]) -> Task:
    """The task whose `settings()` these are.

    Raises:
        StoreError: they are of no task that is known here.

    Example:
        >>> task_from(Segmentation(4).settings()).outputs
        4
    """
    arguments = dict(settings)
    kind = _TASKS.get(arguments.pop("task", None))
    try:
        if kind is not None:
            return kind(**arguments)
    except (TypeError, SettingError):
        pass
    raise StoreError(f"{dict(settings)} is no task: 'task' is one of {', '.join(_TASKS)}")
