"""Rows of parquet shards, read a row group at a time and without a second copy on disk."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from sfumato.data.optional import needs
from sfumato.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

KEPT_BYTES = 256 << 20
"""How much of a data set (still encoded) stays in memory between reads."""


def check_footer(file: Path) -> Any:
    """The metadata of one parquet file, with no row of it read.

    Raises:
        DataError: it is not whole.
    """
    with needs("data"):
        import pyarrow.parquet as pq
    try:
        return pq.read_metadata(file)
    except (OSError, ValueError) as error:  # pyarrow's own errors are subclasses of these
        raise _broken(file, error) from error


@final
class ParquetRows:
    """The rows of parquet `files`, one after another.

    Raises:
        DataError: one of the files is broken; the message names it.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = tuple(files)
        self._groups: list[tuple[Path, int]] = []
        lengths, largest = [0], 1
        for file in self._files:
            footer = check_footer(file)
            for number in range(footer.num_row_groups):
                group = footer.row_group(number)
                self._groups.append((file, number))
                lengths.append(group.num_rows)
                largest = max(largest, group.total_byte_size)
        self._starts = np.cumsum(lengths)
        self._group = lru_cache(max(1, KEPT_BYTES // largest))(self._read)

    def __reduce__(self) -> tuple[type[ParquetRows], tuple[tuple[Path, ...]]]:
        return ParquetRows, (self._files,)  # what is kept in memory does not travel

    def __len__(self) -> int:
        return int(self._starts[-1])

    def schema(self) -> pa.Schema:
        """The columns, as the first file has them."""
        return check_footer(self._files[0]).schema.to_arrow_schema()

    def column(self, name: str) -> pa.ChunkedArray:
        """One whole column; meant for small ones, such as labels."""
        with needs("data"):
            import pyarrow as pa
        parts = [self._read(number, name) for number in range(len(self._groups))]
        if not parts:
            return pa.chunked_array([], type=self.schema().field(name).type)
        return pa.chunked_array([chunk for part in parts for chunk in part.chunks])

    def take(self, name: str, indices: Sequence[int]) -> pa.ChunkedArray:
        """The cells of one column at `indices`, in that order."""
        with needs("data"):
            import pyarrow as pa
        wanted = np.asarray(indices, dtype=np.int64)
        order = np.argsort(wanted, kind="stable")
        ascending = wanted[order]
        group = np.searchsorted(self._starts, ascending, side="right") - 1
        chunks = []
        for number in np.unique(group):
            inside = ascending[group == number] - self._starts[number]
            chunks += self._group(int(number), name).take(pa.array(inside)).chunks
        taken = pa.chunked_array(chunks)
        if bool((order[1:] > order[:-1]).all()):
            return taken
        return taken.take(pa.array(np.argsort(order)))

    def _read(self, number: int, name: str) -> pa.ChunkedArray:
        with needs("data"):
            import pyarrow.parquet as pq
        file, group = self._groups[number]
        try:
            with pq.ParquetFile(file) as shard:
                return shard.read_row_group(group, columns=[name]).column(name)
        except (OSError, ValueError, KeyError) as error:
            raise _broken(file, error) from error


def _broken(file: Path, error: Exception) -> DataError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return DataError(f"{file} is a broken parquet shard ({reason}): fetch or make it anew")
