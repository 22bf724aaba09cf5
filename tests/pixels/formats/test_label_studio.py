"""Label Studio: what is written has the published form, and what it exports is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree as Tree

import pytest

from sfumato.errors import DataError
from sfumato.pixels.formats import Answer, LabelStudio, Legend, Picture, Sheet
from tests.pixels.formats.asked import ASKED, CLASSES, METRES, PICTURES, sheet


def exported(tasks: list[dict[str, Any]], texts: list[str], numbers: bool = False) -> list[Any]:
    """What an annotator makes of the predictions: the points labelled, as annotations."""
    left, out = list(texts), []
    for number, task in enumerate(tasks):
        results = []
        for point in task["predictions"][0]["result"]:
            text = left.pop(0)
            if numbers and text != "failed":
                value = {k: v for k, v in point["value"].items() if k != "keypointlabels"}
                extra = {
                    "type": "textarea",
                    "from_name": "value",
                    "value": {**value, "text": [text]},
                }
                results += [point, {**point, **extra}] if text else [point]
            else:
                labels = [text] if text else ["?"]
                results.append({**point, "value": {**point["value"], "keypointlabels": labels}})
        annotation = {"id": number, "was_cancelled": False, "result": results}
        out.append({"id": number, **task, "annotations": [annotation]})
    return out


def save(path: Path, found: object) -> Path:
    path.write_text(json.dumps(found), encoding="utf-8")
    return path


def test_tasks_have_the_published_form(tmp_path: Path) -> None:
    interface, tasks = LabelStudio().write(sheet(), tmp_path)
    found = json.loads(tasks.read_text("utf-8"))
    assert [unquote(task["data"]["image"]) for task in found] == [
        f"/data/local-files/?d={picture.name}" for picture in PICTURES
    ]
    view = Tree.fromstring(interface.read_text("utf-8"))
    image, control = view.find("Image"), view.find("KeyPointLabels")
    assert image is not None and control is not None
    assert image.get("value") == "$image" and control.get("toName") == image.get("name")
    labels = [label.get("value") for label in control.findall("Label")]
    assert labels == ["?", *CLASSES.classes, "failed"]
    for task in found:
        for point in task["predictions"][0]["result"]:
            assert point["type"] == "keypointlabels"
            assert (point["from_name"], point["to_name"]) == (control.get("name"), "image")
            assert {"original_width", "original_height", "image_rotation", "id"} <= point.keys()
            assert set(point["value"]) == {"x", "y", "width", "keypointlabels"}
            assert 0 < point["value"]["x"] < 100 and 0 < point["value"]["y"] < 100
            assert set(point["value"]["keypointlabels"]) <= set(labels)


def test_round_trip(tmp_path: Path) -> None:
    _, path = LabelStudio("https://host/").write(sheet(), tmp_path)
    tasks = json.loads(path.read_text("utf-8"))
    texts = ["sky", "road & <kerb>", "", "failed", "Bäume"]
    answers = LabelStudio().read(save(tmp_path / "e.json", exported(tasks, texts)), sheet())
    places = [(a.picture, a.row, a.column) for a in answers]
    assert places == [(s.picture, s.row, s.column) for s in (*ASKED[:2], *ASKED[3:])]
    assert [a.label for a in answers] == ["sky", "road & <kerb>", None, "Bäume"]
    assert answers[2].failed


def test_numbers(tmp_path: Path) -> None:
    interface, path = LabelStudio().write(sheet(METRES), tmp_path)
    area = Tree.fromstring(interface.read_text("utf-8")).find("TextArea")
    assert area is not None and area.get("perRegion") == "true"
    tasks = json.loads(path.read_text("utf-8"))
    done = exported(tasks, ["1.5", "failed", "", "-2", "0"], numbers=True)
    answers = LabelStudio().read(save(tmp_path / "e.json", done), sheet(METRES))
    assert [a.value for a in answers] == [1.5, None, -2.0, 0.0]


def test_the_published_example_of_a_point(tmp_path: Path) -> None:
    """https://labelstud.io/tags/keypointlabels: 3.1 % of 1920 and 8.2 % of 1280."""
    point = {
        "original_width": 1920,
        "original_height": 1280,
        "image_rotation": 0,
        "value": {"x": 3.1, "y": 8.2, "width": 2, "keypointlabels": ["Car"]},
        "type": "keypointlabels",
    }
    task = {"data": {"picture": "a.png"}, "annotations": [{"result": [point]}]}
    car = Sheet((Picture("a.png", 1280, 1920),), (), Legend(("Car",)))
    answers = LabelStudio().read(save(tmp_path / "e.json", [task]), car)
    assert answers == [Answer("a.png", 104, 59, label="Car")]


def one(value: object, **more: object) -> list[Any]:
    point = {"type": "keypointlabels", "value": value, **more}
    return [{"data": {"picture": "a.jpg"}, "annotations": [{"result": [point]}]}]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"a": 1}, "no list of tasks"),
        ([1], "no list of tasks"),
        ([{"image": "x", "label": []}], "JSON-MIN"),
        ([{"data": {"picture": "a.jpg"}, "predictions": []}], "as they were imported"),
        ([{"id": 7, "data": {"image": "x"}, "annotations": []}], r"\(id 7\) has no \"picture\""),
        ([{"data": {"picture": "x.png"}, "annotations": []}], "there is no picture 'x.png'"),
        ([{"data": {"picture": "a.jpg"}, "annotations": [3]}], "'a.jpg' are damaged"),
        ([{"data": {"picture": "a.jpg"}, "annotations": [{}]}], "'a.jpg' are damaged"),
        (one(3), "a region of the export has no value"),
        (one({"y": 1, "keypointlabels": ["sky"]}), "no x and y"),
        (one({"x": 101, "y": 1, "keypointlabels": ["sky"]}), "outside of the picture"),
        (one({"x": 1, "y": 1}), "row 0, column 0: a key point has no list of labels"),
        (one({"x": 1, "y": 1, "keypointlabels": ["sky", "Bäume"]}), "2 labels"),
        (one({"x": 1, "y": 1, "keypointlabels": ["cat"]}), "there is no class 'cat'"),
        (one({"x": 1, "y": 1, "keypointlabels": ["sky"]}, image_rotation=90), "was rotated"),
    ],
)
def test_what_is_no_export(tmp_path: Path, found: object, said: str) -> None:
    with pytest.raises(DataError, match=said):
        LabelStudio().read(save(tmp_path / "e.json", found), sheet())


@pytest.mark.parametrize("text", ["[{", "[" * 100_000, "\ufffe\x00"])
def test_what_is_no_json(tmp_path: Path, text: str) -> None:
    path = tmp_path / "e.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="no whole JSON file"):
        LabelStudio().read(path, sheet())


def test_skipped_tasks_and_other_regions_are_left_out(tmp_path: Path) -> None:
    task = one({"x": 1, "y": 1, "keypointlabels": ["sky"]})[0]
    task["annotations"][0]["was_cancelled"] = True
    box = {"type": "rectanglelabels", "value": {"x": 1, "y": 1, "rectanglelabels": ["sky"]}}
    task["annotations"].append({"result": [box]})
    assert LabelStudio().read(save(tmp_path / "e.json", [task]), sheet()) == []


def test_a_number_field_and_a_remark_beside_it(tmp_path: Path) -> None:
    place = {"x": 10, "y": 50, "width": 1}
    point = {"id": "1", "type": "keypointlabels", "value": {**place, "keypointlabels": ["?"]}}
    number = {"id": "1", "type": "number", "from_name": "value", "value": {**place, "number": 4}}
    remark = {"id": "1", "type": "textarea", "from_name": "why", "value": {"text": ["dark"]}}
    task = {"data": {"picture": "a.jpg"}, "annotations": [{"result": [point, number, remark]}]}
    answers = LabelStudio().read(save(tmp_path / "e.json", [task]), sheet(METRES))
    assert answers == [Answer("a.jpg", 3, 0, value=4.0)]
