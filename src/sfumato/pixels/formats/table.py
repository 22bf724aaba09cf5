"""Questions and answers as a CSV table, to be filled in with a spreadsheet or any editor."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import ClassVar, final

from sfumato.errors import DataError, SettingError
from sfumato.files import prepare_folder
from sfumato.pixels.formats.base import Format, content, save
from sfumato.pixels.formats.geometry import pixel_at
from sfumato.pixels.formats.model import OPEN, Answer, Sheet
from sfumato.pixels.formats.names import Names

_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_DELIMITERS = ",;\t"


@final
class Table(Format):
    r"""One line per pixel: picture, number, row, column and an empty label (or value).

    Rows and columns count from 0 at the top left. `number` is that of the overlay and need not
    come back. An empty label, or "?", is an open question; "failed" says that there was nothing
    to measure. Tables that a spreadsheet has saved are read too: with commas, semicolons (then a
    number may have a decimal comma) or tabs, in UTF-8 or UTF-16, with a byte order mark or none.

    Args:
        delimiter: "," or ";", as the annotator's spreadsheet expects, or a tab.

    Example:
        >>> import tempfile
        >>> from sfumato.pixels.formats import Legend, Picture, Sheet, Suggestion
        >>> asked = Sheet((Picture("a.png", 9, 9),), (Suggestion("a.png", 2, 5),), Legend(("sky",)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     [path] = Table().write(asked, folder)
        ...     filled = path.read_text("utf-8-sig").replace("2,5,", "2,5,sky")
        ...     _ = path.write_text(filled)
        ...     Table().read(path, asked)
        [Answer(picture='a.png', row=2, column=5, label='sky', value=None, failed=False)]
    """

    name: ClassVar[str] = "table"
    main: ClassVar[str] = "table.csv"

    def __init__(self, delimiter: str = ",") -> None:
        if len(delimiter) != 1 or delimiter not in _DELIMITERS:
            raise SettingError(
                f"delimiter must be a comma, a semicolon or a tab, not {delimiter!r}"
            )
        self.delimiter = delimiter

    def write(self, sheet: Sheet, folder: str | Path) -> list[Path]:
        """Write `table.csv`."""
        lines = io.StringIO(newline="")
        rows = csv.writer(lines, delimiter=self.delimiter)
        rows.writerow(["picture", "number", "row", "column", _column(sheet)])
        for picture, suggestions in sheet.asked():
            for number, one in enumerate(suggestions, start=1):
                rows.writerow([picture.name, number, one.row, one.column, ""])
        # The mark tells spreadsheets that names are UTF-8.
        return [save(prepare_folder(folder) / self.main, lines.getvalue(), "utf-8-sig")]

    def read(self, path: str | Path, sheet: Sheet) -> list[Answer]:
        """The lines that have a label or value."""
        text = _decoded(content(path), Path(path))
        delimiter = max(_DELIMITERS, key=text.partition("\n")[0].count)
        wanted = ["picture", "row", "column", _column(sheet)]
        places = _places(text, delimiter, wanted, Path(path))
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        names, found = Names(sheet.pictures), list[Answer]()
        try:
            for cells in lines:
                if lines.line_num > 1 and any(cell.strip() for cell in cells):
                    line = _Line(f"{path}, line {lines.line_num}", cells, delimiter)
                    found += line.answer(places, sheet, names)
        except csv.Error as error:
            raise DataError(f"{path} is no whole CSV table ({error}): save it again") from error
        return found


@final
class _Line:
    """One line of a table."""

    def __init__(self, where: str, cells: list[str], delimiter: str) -> None:
        self.where, self.cells, self.delimiter = where, cells, delimiter

    def answer(self, places: list[int], sheet: Sheet, names: Names) -> list[Answer]:
        """The answer of this line, if it is answered."""
        if len(self.cells) <= max(places):
            raise DataError(
                f"{self.where}: the line has {len(self.cells)} cells where the header has more: "
                "the table was cut short, save it again"
            )
        name, row, column, text = (self.cells[one] for one in places)
        if text.strip() in ("", OPEN):
            return []
        picture = names.find(name, self.where)
        pixel = pixel_at(self._whole(column) + 0.5, self._whole(row) + 0.5, picture)
        if sheet.legend.numbers and self.delimiter != ",":
            text = text.replace(",", ".")
        answer = sheet.legend.parse(picture.name, *pixel, text)
        return [] if answer is None else [answer]

    def _whole(self, text: str) -> int:
        try:
            number = float(text.replace(",", "."))
            if number == int(number):
                return int(number)
        except (ValueError, OverflowError):
            pass
        raise DataError(f"{self.where}: {text!r} is no row or column, which are whole numbers")


def _column(sheet: Sheet) -> str:
    return "value" if sheet.legend.numbers else "label"


def _decoded(found: bytes, path: Path) -> str:
    encoding = next((name for mark, name in _MARKS if found.startswith(mark)), "utf-8")
    try:
        return found.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(f'{path} is not UTF-8: save it as "CSV UTF-8" ({error.reason})') from error


def _places(text: str, delimiter: str, wanted: list[str], path: Path) -> list[int]:
    """Where in a line the wanted columns are."""
    header = [cell.strip().strip('"').lower() for cell in text.splitlines()[0].split(delimiter)]
    absent = [name for name in wanted if name not in header]
    if absent:
        raise DataError(
            f"{path} has no column {absent[0]!r}: the first line must name the columns "
            f"{', '.join(wanted)}, and it names {', '.join(header)}"
        )
    return [header.index(name) for name in wanted]
