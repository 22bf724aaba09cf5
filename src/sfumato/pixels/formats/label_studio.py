"""Label Studio: tasks with key points to be labelled, and the export of what was labelled.

The formats are published at https://labelstud.io/tags/keypointlabels and
https://labelstud.io/guide/predictions (tasks with pre-annotations) and at
https://labelstud.io/guide/task_format (the export).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar, final
from urllib.parse import quote
from xml.etree import ElementTree as Tree

from sfumato.errors import DataError
from sfumato.files import prepare_folder, write_json
from sfumato.pixels.formats.base import Format, content, save
from sfumato.pixels.formats.geometry import centre, pixel_at
from sfumato.pixels.formats.markup import as_text, check_text, rendered
from sfumato.pixels.formats.model import FAILED, OPEN, Answer, Picture, Sheet, Suggestion, place
from sfumato.pixels.formats.names import Names

_IMAGE, _LABEL, _VALUE = "image", "label", "value"
_SIZE = 0.6  # of a point, in percent of the width


@final
class LabelStudio(Format):
    """Tasks for import (`label_studio.json`) and the labelling interface (`label_studio.xml`).

    Paste the XML into Settings → Labeling Interface → Code, then import the JSON. Every asked
    pixel is a predicted key point labelled "?"; the annotator gives it a class, or "failed". For
    numbers each point has a text field. The answers are read from an export as "JSON".

    A point is in percent of width and height: x = 100 (column + ½) / width.

    Args:
        prefix: what stands before a picture's name in its address. The default is that of local
            storage, whose root (`LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT`) then is the folder of
            pictures; or `https://.../`.
    """

    name: ClassVar[str] = "label-studio"
    main: ClassVar[str] = "label_studio.json"

    def __init__(self, prefix: str = "/data/local-files/?d=") -> None:
        self.prefix = prefix

    def write(self, sheet: Sheet, folder: str | Path) -> list[Path]:
        """Write the interface and then the tasks."""
        folder = prepare_folder(folder)
        interface = save(folder / "label_studio.xml", _interface(sheet))
        tasks = [self._task(picture, asked) for picture, asked in sheet.asked()]
        write_json(folder / self.main, tasks)
        return [interface, folder / self.main]

    def read(self, path: str | Path, sheet: Sheet) -> list[Answer]:
        """The labelled points of an export; skipped tasks and other regions are left out."""
        try:
            tasks = json.loads(content(path).decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path} is no whole JSON file ({error}): export it again") from error
        if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
            raise DataError(f"{path} is no list of tasks: export the project as JSON")
        names = Names(sheet.pictures)
        return [one for task in tasks for one in _answers(task, sheet, names, str(path))]

    def _task(self, picture: Picture, asked: list[Suggestion]) -> dict[str, Any]:
        points = [_point(picture, one) for one in asked]
        return {
            "data": {"image": self.prefix + quote(picture.name), "picture": picture.name},
            "predictions": [{"model_version": "sfumato", "result": points}],
        }


def _point(picture: Picture, one: Suggestion) -> dict[str, Any]:
    x, y = centre(one.row, one.column)
    return {
        "id": f"r{one.row}c{one.column}",
        "type": "keypointlabels",
        "from_name": _LABEL,
        "to_name": _IMAGE,
        "original_width": picture.width,
        "original_height": picture.height,
        "image_rotation": 0,
        "value": {
            "x": 100 * x / picture.width,
            "y": 100 * y / picture.height,
            "width": _SIZE,
            "keypointlabels": [OPEN],
        },
    }


def _interface(sheet: Sheet) -> str:
    view = Tree.Element("View")
    Tree.SubElement(
        view,
        "Image",
        name=_IMAGE,
        value="$image",
        zoom="true",
        zoomControl="true",
        smoothing="false",
    )
    labels = Tree.SubElement(view, "KeyPointLabels", name=_LABEL, toName=_IMAGE, strokeWidth="2")
    for name in (OPEN, *sheet.legend.classes, FAILED):
        Tree.SubElement(labels, "Label", value=check_text(name))
    if sheet.legend.numbers:
        Tree.SubElement(
            view, "TextArea", name=_VALUE, toName=_IMAGE, perRegion="true", editable="true",
            maxSubmissions="1", placeholder=f"number {check_text(sheet.legend.unit)}".strip(),
        )  # fmt: skip
    return rendered(view)


def _answers(task: dict[str, Any], sheet: Sheet, names: Names, path: str) -> list[Answer]:
    if "annotations" not in task:
        kind = "tasks as they were imported" if "predictions" in task else "another kind of export"
        raise DataError(
            f'{path}: a task has no "annotations"; this is {kind}: export the project as "JSON", '
            'not as "JSON-MIN"'
        )
    data = task.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("picture"), str):
        raise DataError(
            f'{path}: a task (id {task.get("id")}) has no "picture" in its data: it was not '
            "imported from the tasks that were written here"
        )
    picture = names.find(data["picture"], path)
    found = list[Answer]()
    for annotation in _dicts(task["annotations"], picture, path):
        if not annotation.get("was_cancelled"):
            found += _annotated(_dicts(annotation.get("result"), picture, path), picture, sheet)
    return found


def _annotated(results: list[dict[str, Any]], picture: Picture, sheet: Sheet) -> list[Answer]:
    """The answers of one annotation; a number is a result of its own with the point's id."""
    written = [result for result in results if result.get("from_name") == _VALUE]
    numbers = {result.get("id"): _written(result, picture) for result in written}
    found = list[Answer]()
    for result in results:
        value = _value(result, picture)
        if result.get("type") != "keypointlabels":
            continue
        if result.get("image_rotation"):
            raise DataError(f"{picture.name!r} was rotated in Label Studio: rotate it back")
        row, column = _pixel(value, picture)
        label = _label(value, place(picture.name, row, column))
        if sheet.legend.numbers and label != FAILED:
            label = numbers.get(result.get("id"), "")
        answer = sheet.legend.parse(picture.name, row, column, label)
        found += [] if answer is None else [answer]
    return found


def _pixel(value: dict[str, Any], picture: Picture) -> tuple[int, int]:
    try:
        x, y = (float(value[axis]) / 100 for axis in "xy")
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{picture.name!r}: a key point has no x and y in percent") from error
    return pixel_at(_near(x * picture.width), _near(y * picture.height), picture)


def _near(x: float) -> float:
    """Percentages are rounded: what is a border to nine digits is a border."""
    return round(x, 9)


def _label(value: dict[str, Any], where: str) -> str:
    labels = value.get("keypointlabels")
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise DataError(f"{where}: a key point has no list of labels")
    chosen = [label for label in labels if label != OPEN]
    if len(chosen) > 1:
        raise DataError(f"{where}: the point has {len(chosen)} labels, {chosen}: keep one")
    return chosen[0] if chosen else OPEN


def _written(result: dict[str, Any], picture: Picture) -> str:
    value = _value(result, picture)
    text = value.get("text", value.get("number"))  # a <TextArea>, or somebody's <Number>
    texts = text if isinstance(text, list) else [text]
    if len(texts) != 1:
        raise DataError(f"{picture.name!r}: a point has {len(texts)} texts, {texts}: keep one")
    return as_text(texts[0])


def _value(result: dict[str, Any], picture: Picture) -> dict[str, Any]:
    value = result.get("value", {})
    if not isinstance(value, dict):
        raise DataError(f"{picture.name!r}: a region of the export has no value")
    return value


def _dicts(found: Any, picture: Picture, path: str) -> list[dict[str, Any]]:
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise DataError(f"{path}: the annotations of {picture.name!r} are damaged: export again")
    return found
