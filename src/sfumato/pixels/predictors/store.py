"""A predictor on disk: one safetensors file that says what it is, never pickle."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors
from safetensors.torch import save
from torch import nn

from sfumato.errors import DataError, SettingError, StoreError
from sfumato.files import atomic
from sfumato.pixels.predictors.kernel import KernelInterpolation
from sfumato.pixels.predictors.kernel_unet import KernelUNet
from sfumato.pixels.predictors.unet import UNet
from sfumato.pixels.tasks import Task, task_from

SCHEMA = "sfumato.predictor/1"
PREDICTORS: dict[str, Callable[..., nn.Module]] = {
    "UNet": UNet,
    "KernelUNet": KernelUNet,
    "KernelInterpolation": KernelInterpolation,
}


OWN = "own"
"""The type of a predictor that is none of sfumato: only its weights are in the file."""


def save_predictor(predictor: nn.Module, channels: int, task: Task, path: str | Path) -> Path:
    """Write a predictor, with the task that it was made for, to one file.

    Args:
        predictor: `UNet`, `KernelUNet` or `KernelInterpolation`; of any other module the weights
            are written, and reading it takes the function that makes it.
        channels: of its pictures.
        task: that it was made with.
        path: of the file; by custom its name ends in `.safetensors`.

    Raises:
        DataError: a weight is NaN or infinite.
        OutputError: the disk is full, or the folder cannot be written.
    """
    kind = type(predictor).__name__
    known = kind in PREDICTORS and type(predictor) is PREDICTORS[kind]
    weights = {name: t.detach().cpu().contiguous() for name, t in predictor.state_dict().items()}
    for name, weight in weights.items():
        if not bool(weight.isfinite().all()):
            raise DataError(f"{name} of the predictor holds NaN or infinite values")
    made: Any = predictor  # each of the three has settings
    settings = made.settings() if known else {}
    head = {
        "type": kind if known else OWN,
        "channels": channels,
        "task": task.settings(),
        "settings": settings,
    }
    content = save(weights, {"schema": SCHEMA, "predictor": json.dumps(head)})
    with atomic(path) as part:
        part.write_bytes(content)
    return Path(path)


def load_predictor(
    path: str | Path, make: Callable[[int, Task], nn.Module] | None = None
) -> tuple[nn.Module, Task]:
    """Read what `save_predictor` wrote, in evaluation mode, and its task.

    Args:
        path: of the file.
        make: from channels and task to a predictor that is none of sfumato, new.

    Raises:
        SettingError: it is one of these, and `make` is not given.
        StoreError: the file is missing, damaged, or is no predictor.

    Example:
        >>> import tempfile
        >>> from sfumato.pixels.tasks import Depth
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = save_predictor(UNet(3, Depth()), 3, Depth(), f"{folder}/net.safetensors")
        ...     type(load_predictor(path)[0]).__name__
        'UNet'
    """
    path = Path(path)
    if not path.is_file():
        raise StoreError(f"there is no predictor at {path}")
    try:
        with safetensors.safe_open(path, "pt") as opened:
            found = opened.metadata() or {}
            weights = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (OSError, safetensors.SafetensorError) as error:
        raise StoreError(f"{path} is damaged ({error}): make it anew") from error
    if found.get("schema") != SCHEMA:
        raise StoreError(f"{path} is not a predictor of schema {SCHEMA}")
    try:
        head = json.loads(found["predictor"])
        task = task_from(head["task"])
        if head["type"] == OWN and make is None:
            raise SettingError(
                f"{path} holds the weights of a predictor of your own: give the function that "
                "makes it from channels and task"
            )
        build = make if head["type"] == OWN and make else PREDICTORS[head["type"]]
        predictor = build(head["channels"], task, **head["settings"])
        predictor.load_state_dict(weights)
    except SettingError:
        raise
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        detail = " ".join(str(error).split())[:200]
        raise StoreError(f"the predictor in {path} cannot be built: {detail}") from error
    return predictor.eval(), task
