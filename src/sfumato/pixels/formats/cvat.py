"""CVAT: points in the XML of "CVAT for images 1.1".

The format is published at https://docs.cvat.ai/docs/manual/advanced/xml_format/.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, final
from xml.etree import ElementTree as Tree

from sfumato.errors import DataError
from sfumato.files import prepare_folder, write_json
from sfumato.pixels.formats.base import Format, content, save
from sfumato.pixels.formats.geometry import centre, pixel_at
from sfumato.pixels.formats.markup import check_text, parsed, rendered
from sfumato.pixels.formats.model import FAILED, OPEN, Answer, Picture, Sheet, Suggestion
from sfumato.pixels.formats.names import Names

_INSIDE = "annotations.xml"
_LARGEST = 1 << 30  # of an unpacked export, in bytes
_LABELS = "cvat_labels.json"
_VALUE = "value"
_NUMBER = {"name": _VALUE, "mutable": False, "input_type": "text", "default_value": ""}


@final
class Cvat(Format):
    """Points for a CVAT task (`cvat.xml`), its labels, and the XML or ZIP that CVAT exports.

    Make a task with the labels of `cvat_labels.json` (paste them under "Raw") and the pictures
    under their names, then upload `cvat.xml` as annotations, "CVAT 1.1". Every asked pixel is a
    `<points>` of one point labelled "?"; the annotator changes the label to a class or "failed".
    For numbers the label "?" has a text attribute `value`. Export as "CVAT for images 1.1".

    A point is in pixels of the picture: x = column + ½. If the exported `<image>` has another
    size than the picture (a shrunk copy was annotated), points are scaled to the picture.
    """

    name: ClassVar[str] = "cvat"
    main: ClassVar[str] = "cvat.xml"

    def write(self, sheet: Sheet, folder: str | Path) -> list[Path]:
        """Write the labels and then the points."""
        folder = prepare_folder(folder)
        write_json(folder / _LABELS, _raw(sheet))
        root = Tree.Element("annotations")
        _text(root, "version", "1.1")
        asked = sheet.asked()
        task = Tree.SubElement(Tree.SubElement(root, "meta"), "task")
        for name, value in (("name", "sfumato"), ("size", str(len(asked))), ("mode", "annotation")):
            _text(task, name, value)
        labels = Tree.SubElement(task, "labels")
        for name in (OPEN, *sheet.legend.classes, FAILED):
            _label(labels, name, sheet.legend.numbers and name == OPEN)
        for number, (picture, suggestions) in enumerate(asked):
            _image(root, number, picture, suggestions, sheet.legend.numbers)
        return [folder / _LABELS, save(folder / self.main, rendered(root))]

    def read(self, path: str | Path, sheet: Sheet) -> list[Answer]:
        """The labelled points; boxes, polygons and other shapes are left out."""
        path = Path(path)
        root = parsed(_unpacked(content(path), path), path)
        if root.tag != "annotations" or root.find("track") is not None:
            raise DataError(f'{path} is not "CVAT for images 1.1": export in that format')
        names = Names(sheet.pictures)
        found = list[Answer]()
        for image in root.iter("image"):
            picture = names.find(image.get("name", ""), str(path))
            scale = _scale(image, picture)
            for points in image.iter("points"):
                text = _answered(points, sheet.legend.numbers)
                for row, column in _pixels(points.get("points", ""), scale, picture):
                    answer = sheet.legend.parse(picture.name, row, column, text)
                    found += [] if answer is None else [answer]
        return found


def _text(parent: Tree.Element, tag: str, text: str) -> None:
    Tree.SubElement(parent, tag).text = check_text(text)


def _label(labels: Tree.Element, name: str, number: bool) -> None:
    label = Tree.SubElement(labels, "label")
    _text(label, "name", name)
    _text(label, "type", "points")
    attributes = Tree.SubElement(label, "attributes")
    if number:
        attribute = Tree.SubElement(attributes, "attribute")
        for tag, value in (*_NUMBER.items(), ("values", "")):
            _text(attribute, tag, str(value))


def _raw(sheet: Sheet) -> list[dict[str, Any]]:
    """The labels as the raw editor of a CVAT task takes them."""
    number = [{**_NUMBER, "values": [""]}] if sheet.legend.numbers else []
    return [
        {"name": name, "type": "points", "attributes": number if name == OPEN else []}
        for name in (OPEN, *sheet.legend.classes, FAILED)
    ]


def _image(
    root: Tree.Element, number: int, picture: Picture, asked: list[Suggestion], numbers: bool
) -> None:
    head = {"id": str(number), "name": check_text(picture.name)}
    head |= {"width": str(picture.width), "height": str(picture.height)}
    image = Tree.SubElement(root, "image", head)
    for one in asked:
        x, y = centre(one.row, one.column)
        points = Tree.SubElement(
            image, "points", label=OPEN, source="auto", occluded="0", points=f"{x:.2f},{y:.2f}",
            z_order="0",
        )  # fmt: skip
        if numbers:
            Tree.SubElement(points, "attribute", name=_VALUE)


def _unpacked(found: bytes, path: Path) -> bytes:
    """The XML itself, which an export wraps in a ZIP file."""
    if not found.startswith(b"PK"):
        return found
    try:
        with zipfile.ZipFile(io.BytesIO(found)) as archive:
            if archive.getinfo(_INSIDE).file_size > _LARGEST:
                raise DataError(f"{path} unpacks to more than a gigabyte, which is not read")
            return archive.read(_INSIDE)
    except KeyError as error:
        raise DataError(f"{path} holds no {_INSIDE}: export as CVAT for images 1.1") from error
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, RuntimeError) as error:
        raise DataError(f"{path} is no whole ZIP file ({error}): export it again") from error


def _scale(image: Tree.Element, picture: Picture) -> tuple[float, float]:
    try:
        width, height = float(image.attrib["width"]), float(image.attrib["height"])
        if min(width, height) >= 1:
            return picture.width / width, picture.height / height
    except (KeyError, ValueError):
        pass
    raise DataError(f"picture {picture.name!r}: <image> has no width and height in pixels")


def _answered(points: Tree.Element, numbers: bool) -> str:
    label = points.get("label", "")
    if not numbers or label == FAILED:
        return label
    values = (one.text or "" for one in points.iter("attribute") if one.get("name") == _VALUE)
    return next(values, "")


def _pixels(text: str, scale: tuple[float, float], picture: Picture) -> Iterator[tuple[int, int]]:
    for point in filter(None, text.split(";")):
        try:
            x, y = map(float, point.split(","))
        except ValueError as error:
            raise DataError(
                f'picture {picture.name!r}: {point!r} is no point "x,y": export it again'
            ) from error
        yield pixel_at(round(x * scale[0], 9), round(y * scale[1], 9), picture)
