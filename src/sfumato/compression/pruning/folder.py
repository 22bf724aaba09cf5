"""What a run of pruning leaves on disk: where it is, its rows, and the networks on the front."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from dataclasses import asdict
from pathlib import Path
from typing import Any, final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn, optim

from sfumato.compression.pruning.row import Row, front
from sfumato.errors import StoreError
from sfumato.files import atomic, prepare_folder, read_json, write_json
from sfumato.train.checkpoint import load_checkpoint, save_checkpoint


@final
class Folder:
    """The folder of one run.

    `run.json` says which run it is; `rows.json` holds the rows; `last.pt` where the run is,
    weights and optimiser; `steps` the weights of every network on the front. A network that a
    smaller one equals is deleted.

    Args:
        path: of the folder; it is made. A temporary one when None, gone with this object.
        tag: of the run.

    Raises:
        OutputError: it cannot be made or written.
        StoreError: it holds another run.
    """

    def __init__(self, path: Path | str | None, tag: str) -> None:
        if path is None:
            path = tempfile.mkdtemp(prefix="sfumato-prune-")
            weakref.finalize(self, shutil.rmtree, path, ignore_errors=True)
        self.path, self._tag = prepare_folder(path), tag
        name = self.path / "run.json"
        found = _tag_in(name) if name.exists() else None
        steps = prepare_folder(self.path / "steps")
        if found != tag and (found is not None or any(steps.iterdir()) or self._last.exists()):
            raise StoreError(
                f"{self.path} holds a run with other settings, data or weights: use another folder"
            )
        write_json(name, {"tag": tag})

    def rows(self) -> list[Row]:
        """The rows up to the last one that was saved.

        Raises:
            StoreError: the folder is damaged.
        """
        if not self._last.exists():
            return []
        _, history = load_checkpoint(self._last, _Nothing(), None, self._tag)
        return [Row(**row) for row in history]

    def save_last(self, rows: list[Row], model: nn.Module, optimizer: optim.Optimizer) -> None:
        """Save where the run is."""
        history: list[dict[str, Any]] = [asdict(row) for row in rows]
        save_checkpoint(self._last, len(rows), model, optimizer, self._tag, history)
        content = {"rows": history, "front": [row.step for row in front(rows)]}
        write_json(self.path / "rows.json", content)
        kept = {self._step(row.step) for row in front(rows)}
        for file in (self.path / "steps").glob("*.safetensors"):
            if file not in kept:
                file.unlink()

    def load_last(self, model: nn.Module, optimizer: optim.Optimizer) -> None:
        """Load where the run was into a network and an optimiser of that size."""
        load_checkpoint(self._last, model, optimizer, self._tag)

    def save_step(self, step: int, model: nn.Module) -> None:
        """Save the weights after a step."""
        # copies, since safetensors takes no tensor twice: a layer may go by two names
        state = {name: value.detach().clone() for name, value in model.state_dict().items()}
        content = save({name: value.contiguous() for name, value in state.items()})
        with atomic(self._step(step)) as part:
            part.write_bytes(content)  # safetensors' own writer hides that a disk is full

    def load_step(self, step: int, model: nn.Module) -> None:
        """Load the weights after a step into a network of that size.

        Raises:
            StoreError: the file is not there or is damaged.
        """
        file = self._step(step)
        if not file.exists():
            raise StoreError(f"{file} is not there: only networks on the front are kept")
        try:
            model.load_state_dict(load_file(file))
        except (SafetensorError, RuntimeError, OSError) as error:
            raise StoreError(
                f"{file} is damaged ({error}): delete its run's folder and prune anew"
            ) from error

    @property
    def _last(self) -> Path:
        return self.path / "last.pt"

    def _step(self, step: int) -> Path:
        return self.path / "steps" / f"{step:06}.safetensors"


def _tag_in(path: Path) -> str:
    content = read_json(path)
    tag = content.get("tag") if isinstance(content, dict) else None
    if not isinstance(tag, str):
        raise StoreError(f"{path} is not of a run of pruning: use another folder")
    return tag


@final
class _Nothing(nn.Module):
    """Takes any weights and keeps none: for reading what else a checkpoint holds."""

    def load_state_dict(self, *_args: Any, **_kwargs: Any) -> Any:
        return torch.nn.modules.module._IncompatibleKeys([], [])
