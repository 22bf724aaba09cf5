from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from sfumato.cli.common.boards import LiveBoard, PlainBoard, figures, position
from sfumato.cli.common.progress import Display
from sfumato.files import write_json

EVENT = {"cell": "round-0.05/seed-0", "phase": "NN'-5", "epoch": 3, "epochs": 10, "accuracy": 0.931}


def plain() -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, width=200), out


def terminal() -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=True, width=200, color_system=None), out


def test_an_event_in_words() -> None:
    assert position(EVENT) == "epoch 3/10"
    assert position({"unit": "record", "epoch": 256, "epochs": 1437}) == "record 256/1437"
    assert position({}) == ""
    assert figures({**EVENT, "layer_leak": 0.3123}) == "accuracy 93.1 %  layer leak 0.312"


def test_without_a_terminal_lines_come_now_and_then() -> None:
    now = 100.0
    console, out = plain()
    board = PlainBoard(console, interval=10.0, clock=lambda: now)
    for _ in range(3):
        board.show(EVENT)
    now += 9.0
    board.show(EVENT)
    now += 2.0
    board.show({**EVENT, "epoch": 4})
    board.done("round-0.05/seed-0", {"with_released": 0.924, "leak": 0.38, "steps": 7}, 1)
    board.close()
    assert out.getvalue().splitlines() == [
        "round-0.05/seed-0  NN'-5  epoch 3/10  accuracy 93.1 %",
        "round-0.05/seed-0  NN'-5  epoch 4/10  accuracy 93.1 %",
        "1 done  round-0.05/seed-0  with released 92.4 %  leak 0.38",
    ]


def test_on_a_terminal_the_last_cells_have_bars() -> None:
    console, out = terminal()
    board = LiveBoard(console, rows=2)
    for number in range(4):
        board.show({**EVENT, "cell": f"cell-{number}"})
    board.show({**EVENT, "cell": "cell-2", "epoch": 9})
    board.done("cell-3", {"accuracy": 0.5}, 1)
    board.close()
    last = out.getvalue().split("running")[-1]
    assert "1 done" in last
    assert "cell-3  accuracy 50.0 %" in last
    assert "cell-2" in last
    assert "epoch 9/10" in last
    assert "cell-1" not in last


@pytest.mark.parametrize("make", [plain, terminal])
def test_events_of_worker_processes_are_found(tmp_path: Path, make: Any) -> None:
    folder = tmp_path / "progress"
    folder.mkdir()
    write_json(folder / "old.json", {**EVENT, "cell": "old"})
    console, out = make()
    with Display(tmp_path, console, every=0.01):
        (folder / "broken.json").write_text('{"cell": "broken", ')
        write_json(folder / "new.json", {**EVENT, "cell": "new"})
        until = time.monotonic() + 5.0
        while "new" not in out.getvalue() and time.monotonic() < until:
            time.sleep(0.02)
    assert "new" in out.getvalue()
    assert "old" not in out.getvalue()
    assert "broken" not in out.getvalue()


def test_the_last_events_are_not_lost(tmp_path: Path) -> None:
    console, out = plain()
    with Display(tmp_path, console, every=60.0):
        (tmp_path / "progress").mkdir()
        write_json(tmp_path / "progress/cell.json", EVENT)
    assert "NN'-5" in out.getvalue()


def test_events_of_this_process(tmp_path: Path) -> None:
    console, out = plain()
    with Display(tmp_path, console) as display:
        display.named("model", "training")({"epoch": 1, "epochs": 2, "loss": 0.5})
        display.on_done("model", {"accuracy": 0.9})
        display.on_done("other", 3)
    assert out.getvalue().splitlines() == [
        "model  training  epoch 1/2  loss 0.5",
        "1 done  model  accuracy 90.0 %",
        "2 done  other",
    ]


def test_the_display_ends_when_the_work_fails(tmp_path: Path) -> None:
    console, _ = terminal()
    display = Display(tmp_path, console)
    with pytest.raises(KeyboardInterrupt), display:
        raise KeyboardInterrupt
    assert not display._thread.is_alive()
