"""Cells of an evaluation on disk, one file per attack and ε, so that it resumes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias, final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from sfumato.errors import SettingError, StoreError
from sfumato.files import atomic, prepare_folder, read_json, write_json

Cell: TypeAlias = tuple[dict[str, Any], dict[str, Tensor]]
HEAD = "evaluation.json"


@final
class Store:
    """Cells by name, on disk if there is a folder.

    Raises:
        SettingError: the folder holds another evaluation.
        StoreError: it holds attacks, and not what they are of.
        OutputError: it cannot be written.
    """

    def __init__(self, folder: str | Path | None, head: dict[str, Any]) -> None:
        self.folder = None if folder is None else prepare_folder(folder)
        if self.folder is None:
            return
        path, head = self.folder / HEAD, json.loads(json.dumps(head))
        try:
            found = read_json(path)
        except StoreError as error:
            if any(self.folder.rglob("*.safetensors")):
                raise StoreError(
                    f"{folder} holds attacks, and not what they are of: {HEAD} is missing or "
                    "damaged; choose another folder, or delete this one"
                ) from error
            write_json(path, head)
            return
        if found != head:
            other = [k for k in head if not isinstance(found, dict) or found.get(k) != head[k]]
            raise SettingError(
                f"{folder} holds another evaluation ({', '.join(other)} differ): choose another "
                "folder, or delete it"
            )

    def cell(self, name: str, make: Callable[[], Cell]) -> Cell:
        """The cell `name`: read, or made and kept."""
        if self.folder is None:
            return make()
        path = self.folder / f"{name}.safetensors"
        found = _read(path)
        if found is None:
            found = make()
            path.parent.mkdir(parents=True, exist_ok=True)
            content, tensors = found
            kept = {key: value.contiguous() for key, value in tensors.items()}
            with atomic(path) as part:
                save_file(kept, part, {"content": json.dumps(content)})
        return found


def _read(path: Path) -> Cell | None:
    """The cell at `path`; None where there is none, or a damaged one."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            content = json.loads(file.metadata()["content"])
            return content, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError, KeyError, TypeError):
        return None


def fingerprint(*parts: nn.Module | Tensor | None) -> str:
    """A digest of weights and records: equal only where they are."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, nn.Module):
            digest.update(repr(part).encode())
            for name, value in part.state_dict().items():
                digest.update(name.encode())
                if isinstance(value, Tensor):
                    _add(digest, value)
        elif part is not None:
            _add(digest, part)
        digest.update(b"/")
    return digest.hexdigest()


def _add(digest: Any, value: Tensor) -> None:
    plain = value.detach().cpu().contiguous()
    digest.update(f"{plain.dtype}{list(plain.shape)}".encode())
    flat = plain.reshape(-1)
    digest.update(flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b"")
