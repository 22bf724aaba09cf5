"""Files that are either whole or not there: atomic writes, checksums, clear errors."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from sfumato.errors import OutputError, StoreError

if TYPE_CHECKING:
    from torch import Tensor

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def output_error(error: OSError, path: Path) -> OutputError:
    """Turn an `OSError` met while writing `path` into a message that says what to do."""
    if error.errno in _FULL:
        return OutputError(
            f"disk full while writing {path}: free some space and run the same command again; "
            "what was finished before is kept"
        )
    return OutputError(
        f"cannot write {path}: {error.strerror or error}; choose another folder with --out"
    )


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it takes the name `path`, else it is gone.

    Raises:
        OutputError: the disk is full or the folder cannot be written.
    """
    path = Path(path)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise output_error(error, path) from error
    part = Path(name)
    try:
        yield part
        with part.open("rb") as written:
            os.fsync(written.fileno())
        os.chmod(part, 0o644)  # mkstemp makes it private; a result is meant to be read
        os.replace(part, path)
    except OSError as error:
        raise output_error(error, path) from error
    except SafetensorError as error:
        met = _met(error)
        if met is None:
            raise
        raise output_error(met, path) from error
    finally:
        part.unlink(missing_ok=True)


def _met(error: SafetensorError) -> OSError | None:
    """What the system said: safetensors tells it in words, `... (os error 28)`."""
    found = re.search(r"\(os error (\d+)\)", str(error))
    return OSError(int(found[1]), os.strerror(int(found[1]))) if found else None


def write_json(path: str | Path, content: Any) -> None:
    """Write `content` as indented JSON, atomically."""
    with atomic(path) as part:
        part.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: str | Path) -> Any:
    """Read JSON.

    Raises:
        StoreError: the file is missing or is not whole JSON.
    """
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StoreError(f"{path} is not there") from error
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} is truncated or damaged: make it anew ({error})") from error


def sha256(path: str | Path) -> str:
    """The hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def json_checksum(content: Any) -> str:
    """The hexadecimal SHA-256 of JSON values, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_weights(folder: Path, entry: dict[str, str]) -> dict[str, Tensor]:
    """Read tensors that lie beside the settings which name them.

    Args:
        folder: of the settings.
        entry: `file`, a name in that folder, and the `sha256` that it had.

    Raises:
        StoreError: the file is missing, was changed or is damaged.
    """
    from safetensors.torch import load_file  # loads torch, which `sfumato --help` can do without

    path = folder / Path(entry["file"]).name  # never outside the folder
    if not path.is_file():
        raise StoreError(f"{path} is missing: copy the whole folder")
    if sha256(path) != entry["sha256"]:
        raise StoreError(f"{path} is truncated or was changed: its checksum does not match")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise StoreError(f"{path} is damaged: {error}") from error


def prepare_folder(path: str | Path) -> Path:
    """Create the folder `path` and make sure that files can be written to it.

    Raises:
        OutputError: it cannot be created or written.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise output_error(error, path) from error
    return path
