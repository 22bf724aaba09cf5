"""Pictures with the asked pixels drawn in, to look at beside the table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, final

from sfumato.data.optional import needs
from sfumato.errors import DataError, OutputError, SettingError
from sfumato.files import atomic, output_error, prepare_folder
from sfumato.pixels.formats.base import Format
from sfumato.pixels.formats.geometry import centre
from sfumato.pixels.formats.model import Answer, Picture, Sheet, Suggestion

if TYPE_CHECKING:
    from PIL import Image

_WANTED = 720  # a longer side below this is enlarged
_LARGEST = 32
_AROUND = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))


@final
class Overlay(Format):
    """A PNG per picture; every asked pixel has a ring and the number that the table gives it.

    A ring is white between two black ones, a number white with a black edge: both are seen on
    dark and on bright ground. The asked pixel itself is left as it is. The file is
    `overlay/NAME.png`, the suffix of the picture included.

    Args:
        scale: enlarges the picture so many times, pixel by pixel; by default small pictures are
            enlarged to about 720 pixels on the longer side, larger ones stay as they are.
        numbers: the most numbers drawn in one picture; with more pixels there are rings alone.
    """

    name: ClassVar[str] = "overlay"
    main: ClassVar[str] = "overlay"

    def __init__(self, scale: int | None = None, numbers: int = 400) -> None:
        if (scale is not None and scale < 1) or numbers < 0:
            raise SettingError(f"scale must be at least 1 and numbers 0, not {scale}, {numbers}")
        self.scale = scale
        self.numbers = numbers

    def write(self, sheet: Sheet, folder: str | Path) -> list[Path]:
        """Draw every picture of which something is asked.

        Raises:
            MissingDependency: Pillow is not installed.
        """
        if sheet.root is None:
            raise SettingError("an overlay needs the pictures: say in which folder they are")
        written = []
        for picture, suggestions in sheet.asked():
            path = Path(folder) / self.main / f"{picture.name}.png"
            prepare_folder(path.parent)
            image = self.draw(sheet.root, picture, suggestions)
            _save(image, path)
            written.append(path)
        return written

    def read(self, path: str | Path, sheet: Sheet) -> list[Answer]:
        """Not possible: a drawing carries no answers."""
        raise SettingError(
            f"{path}: an overlay carries no answers; fill in the table that goes with it"
        )

    def draw(self, root: Path, picture: Picture, suggestions: Sequence[Suggestion]) -> Image.Image:
        """The picture with rings and numbers."""
        with needs("data"):
            from PIL import ImageDraw
        longer = max(picture.height, picture.width)
        scale = self.scale or max(1, min(_LARGEST, round(_WANTED / longer)))
        image = _opened(root, picture)
        image = image.resize((picture.width * scale, picture.height * scale), 0)
        pen = ImageDraw.Draw(image)
        radius = max(4, round(0.35 * scale))  # inside of an enlarged pixel
        for number, one in enumerate(suggestions, start=1):
            x, y = (scale * value for value in centre(one.row, one.column))
            _ring(pen, x, y, radius)
            if len(suggestions) <= self.numbers:
                _number(pen, x, y, radius, str(number), image.size)
        return image


def _opened(root: Path, picture: Picture) -> Image.Image:
    """The picture in colour, upright."""
    with needs("data"):
        from PIL import Image, ImageOps
    try:
        with Image.open(root / picture.name) as opened:
            image = ImageOps.exif_transpose(opened)
            if image.mode.startswith("I"):  # 16 bits; Pillow would clip them
                image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
            image = image.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(
            f"picture {picture.name!r} cannot be read ({error}): put it back as it was"
        ) from error
    if image.size != (picture.width, picture.height):
        raise DataError(
            f"picture {picture.name!r} has {image.height}×{image.width} pixels now and had "
            f"{picture.height}×{picture.width} when pixels were chosen: put it back as it was"
        )
    return image


def _ring(pen: Any, x: float, y: float, radius: int) -> None:
    for far, colour in ((0, "black"), (1, "white"), (2, "black")):
        size = radius + far
        pen.ellipse((x - size, y - size, x + size, y + size), outline=colour)


def _number(pen: Any, x: float, y: float, radius: int, text: str, size: tuple[int, int]) -> None:
    """Right above the ring, or where there is room."""
    left, top, right, bottom = pen.textbbox((0, 0), text)
    wide, high = right - left + 2, bottom - top + 2
    x = x + radius + 2 if x + radius + 2 + wide < size[0] else x - radius - 2 - wide
    y = y - radius - high if y - radius - high > 0 else y + radius
    x, y = max(1.0, x), max(1.0, y)
    for right, down in _AROUND:
        pen.text((x + right, y + down), text, fill="black")
    pen.text((x, y), text, fill="white")


def _save(image: Image.Image, path: Path) -> None:
    try:
        with atomic(path) as part:
            image.save(part, format="PNG")
    except OutputError:
        raise
    except OSError as error:
        raise output_error(error, path) from error
