"""Where rows come from: a folder in hub layout, or a hub id."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, final

from sfumato.data.optional import needs
from sfumato.data.parquet import ParquetRows, check_footer
from sfumato.errors import DataError, SfumatoError

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa

BUILT_IN = ("digits",)
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_PROBE_SECONDS = 10


class Rows(Protocol):
    """Rows that are read by number, as they are stored."""

    def __len__(self) -> int: ...

    def column(self, name: str) -> pa.ChunkedArray:
        """One whole column; meant for small ones, such as labels."""
        ...

    def take(self, name: str, indices: Sequence[int]) -> pa.ChunkedArray:
        """The cells of one column at `indices`, in that order."""
        ...


@final
class TableRows:
    """The rows of a `datasets.Dataset`; the arrow file behind it is mapped, not loaded."""

    def __init__(self, table: datasets.Dataset) -> None:
        self._table = table

    def __len__(self) -> int:
        return len(self._table)

    def column(self, name: str) -> pa.ChunkedArray:
        """One whole column."""
        return self.take(name, range(len(self)))

    def take(self, name: str, indices: Sequence[int]) -> pa.ChunkedArray:
        """The cells of one column at `indices`, in that order."""
        table: Any = self._table.select_columns(name).with_format("arrow")
        return table[list(indices)].column(name)


@final
@dataclass(frozen=True)
class Source:
    """An opened data set: its splits and what its columns are."""

    name: str
    splits: Mapping[str, Rows]
    features: Mapping[str, Any]


def open_source(source: str) -> Source:
    """Open a folder in hub layout, or a data set on the hub. A folder never needs the network.

    Raises:
        DataError: there is no such thing, it is empty, or a file of it is broken.
    """
    path = Path(source)
    if path.is_dir():
        return _open_folder(path)
    if path.exists():
        raise DataError(f"{source} is a file: give the folder that it is in")
    if not _HUB_ID.fullmatch(source):
        raise DataError(f"there is no folder {source}; {_choices()}")
    return _open_hub_id(source)


def _choices() -> str:
    names = ", ".join(BUILT_IN)
    return f"give a built-in name ({names}), a folder in hub layout, or a hub id (owner/name)"


def _open_folder(folder: Path) -> Source:
    shards = [file for file in sorted(folder.rglob("*.parquet")) if not _hidden(file, folder)]
    for shard in shards:
        check_footer(shard)
    with needs("data"):
        import datasets
    # Only the layout is asked for: the cache that `datasets` would fill is a second copy of it
    # all, so parquet shards are read where they are.
    with _quiet(), _loading(folder), tempfile.TemporaryDirectory() as scratch:
        builder = datasets.load_dataset_builder(str(folder.resolve()), cache_dir=scratch)
    files = {
        str(split): [Path(str(name)) for name in names]
        for split, names in (builder.config.data_files or {}).items()
    }
    if any(file.suffix != ".parquet" for names in files.values() for file in names):
        with _quiet(), _loading(folder):
            return _from_tables(folder.name, datasets.load_dataset(str(folder.resolve())))
    splits = {split: ParquetRows(names) for split, names in files.items()}
    features = builder.info.features
    if not features:
        first = next(iter(splits.values()))
        features = datasets.Features.from_arrow_schema(first.schema())
    return Source(folder.resolve().name, splits, features)


def _hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)


def _open_hub_id(source: str) -> Source:
    with needs("data"):
        import datasets
        from datasets import config
    trouble = _probe(source)
    cached = Path(config.HF_DATASETS_CACHE) / source.replace("/", "___")
    if trouble and not cached.is_dir():
        raise DataError(f"'{source}' is no folder here, and as a hub id {trouble}; {_choices()}")
    with _quiet(), _loading(source):
        return _from_tables(source, datasets.load_dataset(source))


def _probe(source: str) -> str | None:
    """What speaks against this hub id. Without asking, `datasets` would retry for half a minute."""
    import huggingface_hub
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

    try:
        huggingface_hub.HfApi().dataset_info(source, timeout=_PROBE_SECONDS)
    except (RepositoryNotFoundError, HFValidationError):
        return "it names no data set that you may read"
    except Exception as error:  # noqa: BLE001 - each version has its own network errors
        return f"it cannot be looked up ({_reason(error)})"
    return None


def _from_tables(name: str, tables: Any) -> Source:
    first = next(iter(tables.values()))
    return Source(name, {str(key): TableRows(one) for key, one in tables.items()}, first.features)


@contextmanager
def _loading(source: str | Path) -> Iterator[None]:
    """Turn whatever `datasets` raises into one line; it has a dozen kinds of error for bad data."""
    try:
        yield
    except SfumatoError:
        raise
    except Exception as error:
        if type(error).__name__ in ("EmptyDatasetError", "DataFilesNotFoundError"):
            raise DataError(
                f"{source} holds no data files: it should hold parquet shards such as "
                "train-00000-of-00001.parquet"
            ) from error
        raise DataError(f"{source} cannot be opened as a data set ({_reason(error)})") from error


def _reason(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars and no log lines of `datasets` and the hub client; as before afterwards."""
    import datasets
    import huggingface_hub.utils as hub

    bars, hub_bars = not datasets.are_progress_bars_disabled(), not hub.are_progress_bars_disabled()
    level, hub_level = datasets.logging.get_verbosity(), hub.logging.get_verbosity()
    datasets.disable_progress_bars()
    hub.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    hub.logging.set_verbosity_error()
    try:
        yield
    finally:
        if bars:
            datasets.enable_progress_bars()
        if hub_bars:
            hub.enable_progress_bars()
        datasets.logging.set_verbosity(level)
        hub.logging.set_verbosity(hub_level)
