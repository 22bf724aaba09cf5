"""Checkpoints of a training run: whole or absent, and never of another run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import nn, optim

from sfumato.errors import StoreError
from sfumato.files import atomic, output_error

History: TypeAlias = list[dict[str, Any]]


def save_checkpoint(
    path: Path,
    epoch: int,
    model: nn.Module,
    optimizer: optim.Optimizer | None,
    tag: str,
    history: History | None = None,
) -> None:
    """Save the state after `epoch` epochs and what was noted of them; `tag` names the run.

    Raises:
        OutputError: the disk is full or the folder cannot be written; nothing half-written is left.
    """
    content = {
        "tag": tag,
        "epoch": epoch,
        "model": model.state_dict(),
        "optimizer": None if optimizer is None else optimizer.state_dict(),
        "history": history or [],
    }
    with atomic(path) as part:
        try:
            with part.open("wb") as stream:  # torch says no reason for a path, for a stream it does
                torch.save(content, stream)
        except RuntimeError as error:
            reason = _met(error)
            if reason is None:
                raise
            raise output_error(reason, path) from error


def _met(error: BaseException | None) -> OSError | None:
    """What the system said before torch made a `RuntimeError` of it."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error


def load_checkpoint(
    path: Path | None, model: nn.Module, optimizer: optim.Optimizer | None, tag: str
) -> tuple[int, History]:
    """Load the state if there is one, and return the epochs behind it and what was noted of them.

    Raises:
        StoreError: the file is damaged, or belongs to a run with other settings.
    """
    if path is None or not path.exists():
        return 0, []
    try:
        content: dict[str, Any] = torch.load(path, weights_only=True)
        if content["tag"] != tag:
            raise StoreError(
                f"{path} belongs to a run with other settings: delete it, or use another --out"
            )
        model.load_state_dict(content["model"])
        if optimizer is not None and content["optimizer"] is not None:
            optimizer.load_state_dict(content["optimizer"])
        return int(content["epoch"]), list(content["history"])
    except StoreError:
        raise
    except Exception as error:  # torch raises many kinds for a damaged file
        reason = (str(error).splitlines() or [type(error).__name__])[0][:100]
        raise StoreError(f"{path} is damaged ({reason}): delete it and run again") from error
