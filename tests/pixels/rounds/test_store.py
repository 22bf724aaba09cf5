"""The files of rounds: damage is told, and one process writes at a time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from sfumato.errors import SettingError, StoreError
from sfumato.pixels.rounds import Rounds
from tests.pixels.rounds.given import IMAGES, Draw, answered, suggested


@pytest.mark.parametrize("name", ["rounds.json", "round-0001.json", "answers-0001.json"])
@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "null"])
def test_a_damaged_file(tmp_path: Path, name: str, content: str) -> None:
    rounds = suggested(tmp_path)
    rounds.ingest(answered(rounds))
    (rounds.folder / name).write_text(content)
    with pytest.raises(StoreError, match=f"{name} is (truncated or )?damaged"):
        Rounds(rounds.folder).rounds()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("rounds.json", {"size": [4]}),
        ("rounds.json", {"pictures": [["a", 0, 1, ""]]}),
        ("rounds.json", {"classes": ["a", "a"]}),
        ("round-0001.json", {"places": [[1, 2], [1, 2]]}),
        ("round-0001.json", {"places": [[1, 1], [1, 2], [1, 2]]}),
        ("round-0001.json", {"places": [[1, 24], [1, 2], [1, 2]]}),
        ("round-0001.json", {"places": [[1, 2.5], [1, 2], [1, 2]]}),
        ("round-0001.json", {"places": [[1, 2, 3], [1, 2], [1, 2]]}),
        ("answers-0001.json", {"answers": [[1, 2], [1, 1]]}),
        ("answers-0001.json", {"answers": [[1, 2], [1, 1], [1, 1]]}),
        ("answers-0001.json", {"answers": [[1, "x"], [1, 1], [1, 1]]}),
        ("answers-0001.json", {"answers": [[1], [1, 1], [1, 1]]}),
    ],
)
def test_contents_that_cannot_be(tmp_path: Path, name: str, change: dict[str, object]) -> None:
    rounds = suggested(tmp_path)
    rounds.ingest(answered(rounds))
    path = rounds.folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(StoreError, match="is damaged"):
        Rounds(rounds.folder).rounds()


def test_a_round_that_was_removed(tmp_path: Path) -> None:
    rounds = suggested(tmp_path)
    rounds.ingest(answered(rounds))
    rounds.suggest(Draw(), IMAGES, 1)
    (rounds.folder / "round-0001.json").unlink()
    with pytest.raises(StoreError, match=r"has the rounds \[2\]: one of them is missing"):
        rounds.rounds()


def test_another_version(tmp_path: Path) -> None:
    path = suggested(tmp_path).folder / "rounds.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    with pytest.raises(StoreError, match="another version: 99"):
        Rounds(path.parent)


def test_two_processes_do_not_write_at_a_time(tmp_path: Path) -> None:
    rounds = suggested(tmp_path)
    lock = FileLock(rounds.folder / ".rounds.lock", timeout=0)
    with lock:
        for work in (
            lambda: rounds.suggest(Draw(), IMAGES, 2),
            lambda: rounds.ingest(answered(rounds)),
        ):
            with pytest.raises(StoreError, match="another process is writing to the rounds in"):
                work()
    assert rounds.ingest(answered(rounds)).added == 6


def test_what_a_killed_process_left_half_written_is_cleared(tmp_path: Path) -> None:
    rounds = suggested(tmp_path)
    (rounds.folder / ".answers-0001.json.x1.part").write_text('{"answ')
    rounds.ingest(answered(rounds))
    assert not list(rounds.folder.glob(".*.part"))


def test_a_round_that_was_cut_short_goes_on(tmp_path: Path) -> None:
    """The begun file gives the first pictures; the others are chosen as ever."""
    wanted = suggested(tmp_path / "1").rounds()[0]
    rounds = suggested(tmp_path / "2")
    path = rounds.folder / "round-0001.json"
    found = json.loads(path.read_text())
    path.unlink()
    begun = rounds.folder / "begun-0001.json"
    begun.write_text(json.dumps({**found, "places": found["places"][:2]}))
    selector = Draw()
    assert rounds.suggest(selector, IMAGES, 2) == wanted
    assert len(selector.seen) == 1 and not begun.exists()


def test_a_round_that_was_cut_short_with_other_settings_is_chosen_anew(tmp_path: Path) -> None:
    rounds = suggested(tmp_path)
    path = rounds.folder / "round-0001.json"
    path.rename(rounds.folder / "begun-0001.json")
    selector = Draw()
    assert rounds.suggest(selector, IMAGES, 3).k == 3
    assert len(selector.seen) == 3


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([[[0, 0], [0, 0]]], "twice or outside"),
        ([[[0, 0], [4, 0]]], "twice or outside"),
        ([[[0, 0], [0, -1]]], "twice or outside"),
        ([[[0, 0]]], r"must give \[1, 2, 2\]"),
    ],
    ids=["twice", "below", "left", "few"],
)
def test_a_selector_that_breaks_its_contract(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: object, said: str
) -> None:
    rounds = suggested(tmp_path)
    rounds.ingest(answered(rounds))
    selector = Draw()
    monkeypatch.setattr(selector, "query", lambda *_: torch.tensor(found))
    with pytest.raises(SettingError, match=said):
        rounds.suggest(selector, IMAGES, 2)
    places = rounds.rounds()[0].places[0]
    again = torch.tensor([[divmod(cell, 6) for cell in places]])
    monkeypatch.setattr(selector, "query", lambda *_: again)
    with pytest.raises(SettingError, match=r"chose a pixel of 'a\.png' that was bought before"):
        rounds.suggest(selector, IMAGES, 2)
