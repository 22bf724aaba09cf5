"""CVAT for images 1.1: the published form, round trips, and XML that means harm."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from xml.etree import ElementTree as Tree

import pytest

from sfumato.errors import DataError
from sfumato.pixels.formats import Answer, Cvat, Legend, Picture, Sheet, Suggestion
from tests.pixels.formats.asked import ASKED, CLASSES, METRES, PICTURES, sheet

EXAMPLE = Sheet((Picture("filename000.jpg", 1200, 1600),), (), Legend(("wheel",)))


def image(inside: str, size: str = 'width="5" height="7"', name: str = "a.jpg") -> str:
    return f'<annotations><image id="0" name="{name}" {size}>{inside}</image></annotations>'


def save(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_the_written_form(tmp_path: Path) -> None:
    _, path = Cvat().write(sheet(), tmp_path)
    root = Tree.fromstring(path.read_text("utf-8"))
    assert root.tag == "annotations" and root.findtext("version") == "1.1"
    names = [label.findtext("name") for label in root.iterfind("meta/task/labels/label")]
    assert names == ["?", *CLASSES.classes, "failed"]
    raw = json.loads((tmp_path / "cvat_labels.json").read_text("utf-8"))
    assert [label["name"] for label in raw] == names
    images = root.findall("image")
    assert [one.attrib for one in images] == [
        {"id": str(i), "name": p.name, "width": str(p.width), "height": str(p.height)}
        for i, p in enumerate(PICTURES)
    ]
    points = [one.attrib for one in root.iter("points")]
    assert [one["points"] for one in points[:2]] == ["0.50,0.50", "4.50,6.50"]
    assert {frozenset(one) for one in points} == {
        frozenset({"label", "source", "occluded", "points", "z_order"})
    }


@pytest.mark.parametrize("packed", [False, True])
def test_round_trip(tmp_path: Path, packed: bool) -> None:
    _, path = Cvat().write(sheet(), tmp_path)
    assert Cvat().read(path, sheet()) == []
    tree = Tree.parse(path)
    texts = ["sky", "road & <kerb>", "failed", "Bäume", "?"]
    for point, text in zip(tree.getroot().iter("points"), texts, strict=True):
        point.set("label", text)
    tree.write(path, encoding="utf-8", xml_declaration=True)
    if packed:
        with zipfile.ZipFile(tmp_path / "e.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(path, "annotations.xml")
        path = tmp_path / "e.zip"
    answers = Cvat().read(path, sheet())
    places = [(a.picture, a.row, a.column) for a in answers]
    assert places == [(s.picture, s.row, s.column) for s in ASKED[:4]]
    assert [a.label for a in answers] == ["sky", "road & <kerb>", None, "Bäume"]


def test_numbers(tmp_path: Path) -> None:
    _, path = Cvat().write(sheet(METRES), tmp_path)
    assert Cvat().read(path, sheet(METRES)) == []
    tree = Tree.parse(path)
    raw = json.loads((tmp_path / "cvat_labels.json").read_text("utf-8"))
    assert [one["name"] for label in raw for one in label["attributes"]] == ["value"]
    attribute = tree.getroot().find("meta/task/labels/label/attributes/attribute/input_type")
    assert attribute is not None and attribute.text == "text"
    points = list(tree.getroot().iter("points"))
    for point, text in zip(points[:2], ["2.5", "-1"], strict=True):
        next(point.iter("attribute")).text = text
    points[2].set("label", "failed")
    tree.write(path, encoding="utf-8")
    answers = Cvat().read(path, sheet(METRES))
    assert [(a.value, a.failed) for a in answers] == [(2.5, False), (-1.0, False), (None, True)]


def test_the_published_example_of_points(tmp_path: Path) -> None:
    """https://docs.cvat.ai/docs/manual/advanced/xml_format/: several points under one label."""
    points = "574.90,939.48;1170.16,907.90;1130.69,445.26;600.16,459.48"
    inside = f'<points label="wheel" points="{points}" occluded="0" z_order="5"></points>'
    text = image(inside, 'width="1600" height="1200"', "filename000.jpg")
    answers = Cvat().read(save(tmp_path / "e.xml", text), EXAMPLE)
    found = [(a.row, a.column) for a in answers]
    assert found == [(939, 574), (907, 1170), (445, 1130), (459, 600)]


def test_a_shrunk_copy_was_annotated(tmp_path: Path) -> None:
    inside = '<points label="wheel" points="200.10,100.10"/>'
    text = image(inside, 'width="400" height="300"', "filename000.jpg")
    assert Cvat().read(save(tmp_path / "e.xml", text), EXAMPLE) == [
        Answer("filename000.jpg", 400, 800, label="wheel")
    ]


BOMB = """<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><annotations>&b;</annotations>"""
FILE = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotations>&x;</annotations>'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("<annotations><image", "no whole XML file"),
        ("<annotations>", "no whole XML file"),
        ("plain", "no whole XML file"),
        ("<annotations>&unknown;</annotations>", "no whole XML file"),
        (BOMB, "document type"),
        (FILE, "document type"),
        ("<html/>", 'not "CVAT for images 1.1"'),
        ('<annotations><track id="0"/></annotations>', 'not "CVAT for images 1.1"'),
        (image("", name="b.jpg"), "there is no picture 'b.jpg'"),
        (image("", size='width="0" height="7"'), "no width and height"),
        (image("", size='width="5"'), "no width and height"),
        (image('<points label="sky" points="1"/>'), "'1' is no point"),
        (image('<points label="sky" points="1,x"/>'), "'1,x' is no point"),
        (image('<points label="sky" points="nan,1"/>'), "outside of the picture"),
        (image('<points label="sky" points="5.5,1"/>'), "outside of the picture of 7×5"),
        (image('<points label="cat" points="1.5,2.5"/>'), "row 2, column 1: there is no class"),
        ("PK\x03\x04 cut", "no whole ZIP file"),
    ],
)
def test_a_damaged_file(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        Cvat().read(save(tmp_path / "e.xml", text), sheet())


def test_a_zip_of_something_else(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "e.zip", "w") as archive:
        archive.writestr("readme.txt", "x")
    with pytest.raises(DataError, match=r"holds no annotations\.xml"):
        Cvat().read(tmp_path / "e.zip", sheet())


def test_other_shapes_are_left_out(tmp_path: Path) -> None:
    text = image('<box label="sky" xtl="0" ytl="0" xbr="2" ybr="2"/><tag label="sky"/>')
    assert Cvat().read(save(tmp_path / "e.xml", text), sheet()) == []


def test_a_name_that_xml_cannot_hold(tmp_path: Path) -> None:
    asked = Sheet((Picture("a\x01.png", 1, 1),), (Suggestion("a\x01.png", 0, 0),), METRES)
    with pytest.raises(DataError, match="XML cannot hold"):
        Cvat().write(asked, tmp_path)
