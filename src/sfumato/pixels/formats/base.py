"""The contract of a file format: questions out, answers in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from sfumato.errors import DataError
from sfumato.files import atomic
from sfumato.pixels.formats.model import Answer, Sheet


class Format(ABC):
    """Writes a sheet of questions for a tool, and reads what the tool gives back."""

    name: ClassVar[str]
    """What the command line calls it."""

    main: ClassVar[str]
    """The file, or folder, whose presence says that the questions are written."""

    @abstractmethod
    def write(self, sheet: Sheet, folder: str | Path) -> list[Path]:
        """Write the questions into `folder`; files that were there are replaced.

        Returns:
            The files, that of `main` last.

        Raises:
            SettingError: the format cannot carry what is asked for.
            OutputError: the folder cannot be written.
        """

    @abstractmethod
    def read(self, path: str | Path, sheet: Sheet) -> list[Answer]:
        """The answers in a file. Pixels that are still open are left out.

        Whether a pixel was asked for at all is not checked here.

        Raises:
            DataError: the file is damaged, is of another format, or names an unknown picture or
                class, or a point outside of its picture.
            SettingError: the format is one that carries no answers.
        """


def content(path: str | Path) -> bytes:
    """The bytes of a file that somebody hands back.

    Raises:
        DataError: it is not there, cannot be read, or is empty.
    """
    path = Path(path)
    try:
        found = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    if not found.strip():
        raise DataError(f"{path} is empty: export the answers again")
    return found


def save(path: Path, text: str, encoding: str = "utf-8") -> Path:
    """Write text to a file, atomically, with the line ends that it has."""
    with atomic(path) as part:
        part.write_bytes(text.encode(encoding))
    return path
