"""Writing parquet shards of released records, as the hub lays them out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, final

import numpy as np
from torch import Tensor

from sfumato.data.optional import needs
from sfumato.data.released import LABEL, RECORD

if TYPE_CHECKING:
    import pyarrow as pa


@final
class ShardWriter:
    """Write batches of one shape to one parquet file; only one batch is in memory at a time."""

    def __init__(self, path: Path, classes: Sequence[str]) -> None:
        self._classes = tuple(classes)
        # Opened here and not by arrow, so that a full disk is an OSError with its number.
        self._stream = path.open("wb")
        self._writer: Any = None

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._writer is not None:
                self._writer.close()
        finally:
            self._stream.close()

    def write(self, records: Tensor, labels: Tensor) -> None:
        """Add `records` `[B, ...]`, float32, with `labels` `[B]`, as one row group."""
        with needs("data"):
            import pyarrow as pa
            import pyarrow.parquet as pq
        schema = record_schema(tuple(records.shape[1:]), self._classes)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._stream, schema, **_encoding(records.ndim - 1))
        nested = _nested(records.contiguous().numpy())
        columns = {RECORD: nested, LABEL: pa.array(labels.numpy())}
        self._writer.write_table(pa.table(columns, schema=schema))


def _encoding(axes: int) -> dict[str, Any]:
    """Noise hardly compresses; with the bytes of like weight side by side, by a sixth."""
    return {
        "compression": "zstd",
        "compression_level": 1,
        "use_dictionary": [LABEL],
        "use_byte_stream_split": [RECORD + ".list.element" * axes],
    }


def record_schema(shape: Sequence[int], classes: Sequence[str]) -> pa.Schema:
    """The columns of a shard, with the notes by which `datasets` knows their types."""
    with needs("data"):
        import pyarrow as pa
    kind: pa.DataType = pa.float32()
    feature: dict[str, Any] = {"dtype": "float32", "_type": "Value"}
    for length in reversed(shape):
        kind = pa.list_(kind, length)
        # By this name the old and the new versions of `datasets` know it.
        feature = {"feature": feature, "length": length, "_type": "Sequence"}
    label = {"names": list(classes), "_type": "ClassLabel"}
    notes = {"info": {"features": {RECORD: feature, LABEL: label}}}
    columns = [pa.field(RECORD, kind), pa.field(LABEL, pa.int64())]
    return pa.schema(columns, metadata={"huggingface": json.dumps(notes)})


def record_shape(schema: pa.Schema) -> tuple[int, ...]:
    """The shape of one record, from the columns of a shard."""
    kind, shape = schema.field(RECORD).type, []
    while hasattr(kind, "list_size"):
        shape.append(kind.list_size)
        kind = kind.value_type
    return tuple(shape)


def _nested(records: np.ndarray) -> pa.Array:
    import pyarrow as pa

    array = pa.array(records.reshape(-1))
    for length in reversed(records.shape[1:]):
        array = pa.FixedSizeListArray.from_arrays(array, length)
    return array
