"""Formats by name, and the format of a file that comes back."""

from __future__ import annotations

from pathlib import Path

from sfumato.errors import SettingError
from sfumato.pixels.formats.base import Format
from sfumato.pixels.formats.cvat import Cvat
from sfumato.pixels.formats.label_studio import LabelStudio
from sfumato.pixels.formats.overlay import Overlay
from sfumato.pixels.formats.table import Table

_KNOWN: tuple[type[Format], ...] = (Table, Overlay, LabelStudio, Cvat)
_SUFFIXES = {
    ".csv": Table.name,
    ".tsv": Table.name,
    ".txt": Table.name,
    ".json": LabelStudio.name,
    ".xml": Cvat.name,
    ".zip": Cvat.name,
    ".png": Overlay.name,
}


def format_named(name: str) -> Format:
    """The format that the command line calls `name`, with its defaults.

    Example:
        >>> format_named("cvat").main
        'cvat.xml'

    Raises:
        SettingError: there is none.
    """
    for kind in _KNOWN:
        if kind.name == name:
            return kind()
    known = ", ".join(kind.name for kind in _KNOWN)
    raise SettingError(f"there is no format {name!r}: known are {known}")


def format_of(path: str | Path) -> Format:
    """The format of a file of answers, told by its suffix.

    Raises:
        SettingError: the suffix is that of no format.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _SUFFIXES:
        raise SettingError(
            f"{path}: the suffix says no format; .csv is a table, .json an export of Label Studio, "
            ".xml or .zip one of CVAT; or name the format"
        )
    return format_named(_SUFFIXES[suffix])
