"""Which column holds the pictures and which the labels, and what the labels mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sfumato.data.records import check_labels
from sfumato.data.sources import Rows, Source
from sfumato.errors import DataError

_PICTURES = ("image", "img", "picture", "pixels")
_LABELS = ("label", "labels", "target", "class", "category", "y")
_MOST_CLASSES = 100_000


def find_columns(
    features: Mapping[str, Any], picture: str | None, label: str | None, where: str
) -> tuple[str, str]:
    """The names of the picture and the label column: those asked for, or found by type and name.

    Raises:
        DataError: there is no such column, or there are several and none has a usual name.
    """
    pictures = [name for name, feature in features.items() if _is_picture(feature)]
    named = [name for name, feature in features.items() if hasattr(feature, "names")]
    plain = [name for name in _LABELS if name in features and _is_label(features[name])]
    return (
        _choose("picture", "image_column", picture, pictures, _PICTURES, features, where),
        _choose("label", "label_column", label, named or plain, _LABELS, features, where),
    )


def _choose(
    kind: str,
    setting: str,
    asked: str | None,
    found: list[str],
    usual: Iterable[str],
    features: Mapping[str, Any],
    where: str,
) -> str:
    columns = "its columns are " + ", ".join(f"{key} ({_kind(features[key])})" for key in features)
    if asked is not None:
        if asked not in features:
            raise DataError(f"{where} has no column {asked!r}: {columns}")
        if kind == "picture" and not _is_picture(features[asked]):
            raise DataError(f"the column {asked!r} of {where} holds no pictures: {columns}")
        return asked
    if len(found) == 1:
        return found[0]
    for name in usual:
        if name in found:
            return name
    if found:
        raise DataError(f"{where} has several {kind} columns: name one with {setting}; {columns}")
    hint = ""
    if kind == "label" and all(map(_is_picture, features.values())):  # what a lone folder gives
        hint = ". Pictures in folders need a folder for each class, and two classes at least"
    raise DataError(f"{where} has no {kind} column: {columns}{hint}")


def _kind(feature: Any) -> str:
    name = type(feature).__name__
    return str(feature.dtype) if name == "Value" else name


def _is_picture(feature: Any) -> bool:
    if isinstance(feature, dict):  # a picture whose type was not noted in the file
        return "bytes" in feature
    return type(feature).__name__ == "Image" or _kind(feature) in ("binary", "large_binary")


def _is_label(feature: Any) -> bool:
    return _kind(feature).startswith(("int", "uint", "bool", "string", "large_string"))


def read_labels(
    source: Source, split: str, column: str, where: str
) -> tuple[Tensor, tuple[str, ...]]:
    """The labels `[N]` of a split, and the class names, which are the same for every split.

    Labels without names get them: whole numbers "0", "1", ... up to the largest of any split,
    text in alphabetical order.

    Raises:
        DataError: labels are missing, are no whole numbers or text, or are out of range.
    """
    values = _values(source.splits[split], column, where)
    names = getattr(source.features[column], "names", None)
    if names is None:
        names = _names([_values(rows, column, where) for rows in source.splits.values()], where)
    if values.dtype.kind == "U":
        values = np.searchsorted(np.asarray(names), values)
    labels = torch.from_numpy(values.astype(np.int64))
    check_labels(labels, len(names), where)
    return labels, tuple(names)


def _values(rows: Rows, column: str, where: str) -> np.ndarray:
    """The stored labels as whole numbers or text."""
    stored = rows.column(column)
    if stored.null_count:
        number = stored.is_null().to_pylist().index(True)
        raise DataError(f"record {number} of {where} has no label in the column {column!r}")
    values = np.asarray(stored.to_pylist() if _is_text(stored) else stored.to_numpy())
    if len(values) == 0:
        return values.astype(np.int64)
    if values.dtype.kind not in "iubU" or values.ndim != 1:
        raise DataError(
            f"the column {column!r} of {where} holds {stored.type}, not one label per record: "
            "name another with label_column"
        )
    return values


def _is_text(stored: Any) -> bool:
    return str(stored.type) in ("string", "large_string", "string_view")


def _names(splits: list[np.ndarray], where: str) -> list[str]:
    if any(values.dtype.kind == "U" for values in splits):
        return sorted({str(value) for values in splits for value in np.unique(values)})
    most = max((int(values.max()) for values in splits if len(values)), default=-1) + 1
    if most > _MOST_CLASSES:
        raise DataError(f"the labels of {where} run up to {most - 1}: that is not a class number")
    return [str(number) for number in range(most)]
