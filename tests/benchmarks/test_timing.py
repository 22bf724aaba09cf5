"""Timing in turns."""

from __future__ import annotations

import pytest
import torch

from sfumato.bench.timing import Timing, machine, take_turns, thread_clock


def test_candidates_take_turns_on_one_thread() -> None:
    seen: list[str] = []

    def note(name: str) -> None:
        assert torch.get_num_threads() == 1
        seen.append(name)

    timed = take_turns({"a": lambda: note("a"), "b": lambda: note("b")}, rounds=2, repeats=2)
    assert "".join(seen) == "ab" + "aabb" + "bbaa"
    assert {len(t.busy) for t in timed.values()} == {len(t.wall) for t in timed.values()} == {2}


def test_the_threads_are_put_back_after_an_error() -> None:
    torch.set_num_threads(2)

    def broken() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        take_turns({"broken": broken}, rounds=1)
    assert torch.get_num_threads() == 2


def test_the_ratio_is_the_median_of_ratios_within_a_round() -> None:
    one = Timing(busy=(1.0, 10.0, 2.0), wall=(1.0, 1.0, 1.0))
    other = Timing(busy=(2.0, 10.0, 6.0), wall=(5.0, 1.0, 1.0))
    assert other.ratios(one) == [2.0, 1.0, 3.0]
    assert other.ratio(one) == 2.0
    assert other.ratio(one, "wall") == 1.0
    assert one.figures() == {"cpu_ms": 2.0, "wall_ms": 1.0}


def test_a_clock_of_ones_own() -> None:
    spent = {"a": (1.0, 2.0), "b": (3.0, 4.0)}
    asked: list[int] = []

    def clock(work: object, repeats: int) -> tuple[float, float]:
        asked.append(repeats)
        return spent[str(work() if callable(work) else work)]

    timed = take_turns({"a": lambda: "a", "b": lambda: "b"}, rounds=2, repeats=3, clock=clock)
    assert timed == {"a": Timing((1.0, 1.0), (2.0, 2.0)), "b": Timing((3.0, 3.0), (4.0, 4.0))}
    assert set(asked) == {3}


def test_the_clock_of_the_thread_counts_calls() -> None:
    calls: list[int] = []
    busy, wall = thread_clock(lambda: calls.append(1), 7)
    assert len(calls) == 7
    assert busy >= 0
    assert wall > 0


def test_the_machine_is_named() -> None:
    assert {"cpu", "cores", "load", "python", "torch", "threads"} <= set(machine())
