"""Threads that wait for busy cores would stall an audit: it then computes in one."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest
import torch

import sfumato.privacy
from sfumato.privacy.attacks import Attack, LinearAttack, Outcome, Scene
from sfumato.privacy.audits import threads
from sfumato.privacy.audits.threads import SMALL, bearable_threads, product_seconds, stalled
from tests.privacy.audited import records, run

SEEN: list[int] = []


class Looking(Attack):
    """The linear attack, and a word on how many threads it ran in."""

    @property
    def name(self) -> str:
        return "looking"

    def run(self, scene: Scene) -> Outcome:
        SEEN.append(torch.get_num_threads())
        return LinearAttack(pooled=True).run(scene)


@pytest.fixture(autouse=True)
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads that are only counted: real ones would stall the tests on a busy machine."""
    count = [2]
    monkeypatch.setattr(torch, "get_num_threads", lambda: count[0])
    monkeypatch.setattr(torch, "set_num_threads", lambda number: count.__setitem__(0, number))
    SEEN.clear()


def busy(monkeypatch: pytest.MonkeyPatch, together: list[float], alone: float = 1e-5) -> None:
    """A small product takes so long in several threads at each look, and in one."""
    times = iter(together)
    monkeypatch.setattr(
        threads,
        "product_seconds",
        lambda: next(times) if torch.get_num_threads() > 1 else alone,
    )


def test_small_records_have_one_thread() -> None:
    with bearable_threads(SMALL):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


def test_large_records_keep_their_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    busy(monkeypatch, [2e-5, 9e-4])  # slower ten times and more, but by nothing that matters
    with bearable_threads(SMALL + 1) as look_again:
        assert torch.get_num_threads() == 2
        look_again()
        assert torch.get_num_threads() == 2


def test_threads_that_stall_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    busy(monkeypatch, [0.04])  # as was measured on two busy cores
    with bearable_threads(SMALL + 1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


def test_threads_that_stall_later_are_given_up_later(monkeypatch: pytest.MonkeyPatch) -> None:
    busy(monkeypatch, [2e-5, 0.04])
    with bearable_threads(SMALL + 1) as look_again:
        assert torch.get_num_threads() == 2
        look_again()
        assert torch.get_num_threads() == 1
        look_again()  # one thread is not looked at again: there is nothing to give up


def test_a_machine_that_is_slow_in_one_thread_too(monkeypatch: pytest.MonkeyPatch) -> None:
    busy(monkeypatch, [0.04], alone=0.03)
    assert not stalled()
    assert torch.get_num_threads() == 2


def test_an_error_puts_the_threads_back() -> None:
    with pytest.raises(KeyboardInterrupt), bearable_threads(1):
        raise KeyboardInterrupt
    assert torch.get_num_threads() == 2


def test_the_product_leaves_the_generator_alone() -> None:
    before = torch.random.get_rng_state()
    assert product_seconds() > 0
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(("stalls_at", "expected"), [(99, 2), (1, 1)])
def test_an_audit_of_larger_records(
    monkeypatch: pytest.MonkeyPatch, stalls_at: int, expected: int
) -> None:
    busy(monkeypatch, [2e-5] * stalls_at + [0.04])
    run(
        data=(records(60, size=17), records(40, seed=1, size=17)),
        model=torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(17**2, 2)),
        attacks=[Looking()],
        releases=1,
        seeds=3,
        control=False,
    )
    seen = [2, expected, expected]  # it looks before the first cell and after each
    assert seen == SEEN
    assert torch.get_num_threads() == 2


def test_an_audit_of_small_records() -> None:
    card = run(attacks=[Looking()], releases=1, seeds=1, control=False)
    assert len(SEEN) == SEEN[0] == 1
    assert card.provenance["machine"]["threads"] == 1
    assert torch.get_num_threads() == 2


def test_no_attack_has_a_loop_without_a_bound() -> None:
    """Every search of an attack ends after a number of steps that is known beforehand."""
    root = Path(inspect.getfile(sfumato.privacy)).parent
    files = [*root.glob("attacks/*.py"), *root.glob("audits/*.py"), *root.glob("information/*.py")]
    endless = [
        f"{file.name}:{node.lineno}"
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.While) or (isinstance(node, ast.Name) and node.id == "cycle")
    ]
    assert len(files) > 40
    assert endless == []
