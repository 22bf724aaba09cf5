"""Whole steps: a folder of pictures, a budget, answers in every format."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sfumato.errors import DataError, SettingError, StoreError
from sfumato.pixels.formats import LabelStudio, Table
from sfumato.pixels.rounds import Ingested, ingest, suggest
from tests.pixels.rounds.given import LEGEND, METRES, Draw, files

Image = pytest.importorskip("PIL.Image")
ALL = ("table", "overlay", "label-studio", "cvat")
SIZE = (4, 6)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for name, size in [("a.png", (6, 4)), ("b c/ü.jpg", (37, 61)), ("b c/ü.png", (6, 5))]:
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise(size, 50).save(path)
    return tmp_path / "pictures"


def test_questions_in_every_format(pictures: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    done = suggest(
        pictures, tmp_path / "out", Draw(), 2, LEGEND, formats=ALL,
        progress=lambda *step: seen.append(step),
    )  # fmt: skip
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert done.folder == tmp_path / "out" / "round-0001"
    assert {str(path.relative_to(done.folder)) for path in done.files} == {
        "table.csv",
        "label_studio.xml",
        "label_studio.json",
        "cvat.xml",
        "cvat_labels.json",
        "overlay/a.png.png",
        "overlay/b c/ü.jpg.png",
        "overlay/b c/ü.png.png",
    }
    sheet = done.rounds.sheet()
    assert len(sheet.suggestions) == 6
    before = files(tmp_path / "out")
    again = suggest(pictures, tmp_path / "out", Draw(), 2, LEGEND, formats=ALL)
    assert again.round == done.round and files(tmp_path / "out") == before


def test_a_table_that_is_being_filled_in_is_not_overwritten(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = suggest(pictures, out, Draw(), 2, METRES, formats=("table",))
    table = done.folder / "table.csv"
    lines = table.read_text("utf-8-sig").splitlines()
    filled = [lines[0], *(f"{line}{number}.5" for number, line in enumerate(lines[1:]))]
    table.write_text("\n".join(filled), encoding="utf-8")
    suggest(pictures, out, Draw(), 2, METRES, formats=("table",))
    assert ingest(out, table) == Ingested(6, 0, 0, 0)
    assert ingest(out, table) == Ingested(0, 6, 0, 0)
    known = done.rounds.known()
    assert sorted(known.target[known.valid].tolist()) == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]
    assert suggest(pictures, out, Draw(), 3, METRES, formats=("table",)).round.number == 2


def test_cvat_there_and_back(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = suggest(pictures, out, Draw(), 3, LEGEND, formats=("cvat",))
    text = done.files[1].read_text("utf-8")
    exported = tmp_path / "annotations.xml"
    exported.write_text(text.replace('label="?"', 'label="road"'), encoding="utf-8")
    assert ingest(out, exported) == Ingested(9, 0, 0, 0)
    known = done.rounds.known()
    assert bool((known.target[known.valid] == 1).all())
    assert known.bought.flatten(1).sum(1).tolist() == [3, 3, 3]


def test_label_studio_there_and_back(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = suggest(pictures, out, Draw(), 3, LEGEND, formats=(LabelStudio("https://x/"),))
    tasks = json.loads(done.files[1].read_text("utf-8"))
    for task in tasks:
        result = task.pop("predictions")[0]["result"]
        for point in result:
            point["value"]["keypointlabels"] = ["sky"]
        task["annotations"] = [{"result": result}]
    exported = tmp_path / "project-1.txt"
    exported.write_text(json.dumps(tasks), encoding="utf-8")
    with pytest.raises(DataError, match="no column"):
        ingest(out, exported)
    assert ingest(out, exported, format="label-studio") == Ingested(9, 0, 0, 0)


def test_a_file_that_says_too_little(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = suggest(pictures, out, Draw(), 2, LEGEND, formats=(Table(";"),))
    with pytest.raises(DataError, match=r"picture 'a\.png', row \d, column \d has no answer"):
        ingest(out, done.files[0])
    assert ingest(out, done.files[0], missing="wait") == Ingested(0, 0, 0, 6)
    assert ingest(out, done.files[0], missing="failed") == Ingested(6, 0, 6, 0)


def test_pictures_that_changed_between_rounds(pictures: Path, tmp_path: Path) -> None:
    suggest(pictures, tmp_path / "out", Draw(), 2, LEGEND)
    Image.effect_noise((6, 4), 50).save(pictures / "a.png")
    with pytest.raises(StoreError, match=r"picture 'a\.png' has changed since the rounds"):
        suggest(pictures, tmp_path / "out", Draw(), 2, LEGEND)


def test_rounds_inside_of_the_pictures(pictures: Path) -> None:
    with pytest.raises(SettingError, match="inside of the folder of pictures"):
        suggest(pictures, pictures / "rounds", Draw(), 2, LEGEND)
    assert not (pictures / "rounds").exists()


def test_ingest_without_rounds(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no rounds"):
        ingest(tmp_path, tmp_path / "a.csv")
