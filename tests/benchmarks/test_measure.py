"""From a case to its row, its verdicts and its lines."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sfumato.bench.case import Reach, Setting
from sfumato.bench.layers import slug
from sfumato.bench.measure import FIGURES, copy_bandwidth, measure
from sfumato.bench.table import headline, table
from sfumato.bench.timing import Timing
from sfumato.bench.verdict import in_words, verdicts
from sfumato.errors import SettingError, SfumatoError
from tests.benchmarks.toys import absent, candidate, case

QUICK = Setting(rounds=3, quick=True)


def broken(x: Tensor) -> Tensor:
    raise RuntimeError("half precision\nis not for it")


def test_a_row() -> None:
    peers = absent("gone", "peer", "not installed"), candidate("weak", "peer", broken)
    row = measure(case(candidate("mine", "ours", torch.exp), *peers), QUICK, bandwidth=1e9)
    assert (row["case"], row["baseline"], row["rounds"]) == ("a case", "plain", 3)
    plain, mine, gone, weak = row["candidates"]
    assert plain["ratio"] == 1.0
    assert mine["reason"] is None
    assert mine["ratio"] > 0
    assert mine["quartiles"][0] <= mine["quartiles"][1]
    assert mine["saved_mib"] == 4 * 4 * 8 / 2**20
    assert gone["reason"] == "not installed"
    assert weak["reason"] == "fails: RuntimeError: half precision"
    for cell in (gone, weak):
        assert all(cell[figure] is None for figure in FIGURES)
    assert headline(row).startswith("a case: ours ")
    assert headline(row).endswith("(mine)")


def test_inference_saves_nothing() -> None:
    row = measure(case(train=False), QUICK, bandwidth=1e9)
    assert row["candidates"][0]["saved_mib"] is None


def test_a_row_disturbs_no_generator() -> None:
    state = torch.get_rng_state()
    measure(case(), QUICK, bandwidth=1e9)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("role", ["plain", "floor", "naive"])
def test_what_is_plain_must_run(role: str) -> None:
    with pytest.raises(RuntimeError, match="half precision"):
        measure(case(candidate("odd", role, broken)), QUICK, 1e9)  # pyright: ignore[reportArgumentType]


def test_a_case_needs_its_baseline() -> None:
    from dataclasses import replace

    lost = replace(case(), candidates=(absent("plain", "plain", "not here"),))
    with pytest.raises(SfumatoError, match="baseline does not run: not here"):
        measure(lost, QUICK, 1e9)


def timing(*busy: float) -> Timing:
    return Timing(busy, busy)


TIMED = {"plain": timing(1, 1, 1), "floor": timing(2, 2, 2), "mine": timing(2.404, 2.404, 2.404)}


@pytest.mark.parametrize(
    ("reach", "value", "words"),
    [
        (Reach(2.4), 2.404, "reached"),  # as the table shows it: 2.40
        (Reach(2.3), 2.404, "missed by 4.5 %"),
        (Reach(1.3, of="floor"), 1.202, "reached"),
        (Reach(1.1, of="floor"), 1.202, "missed by 9.3 %"),
        (Reach(saved_mib=8.0), 8.004, "reached"),
        (Reach(saved_mib=6.0), 8.004, "missed by 33 %"),
        (Reach(1.1, of="not there"), None, "not measured"),
    ],
)
def test_verdicts(reach: Reach, value: float | None, words: str) -> None:
    asked = case(candidate("mine", "ours", torch.exp), reach=reach)
    (verdict,) = verdicts(asked, TIMED, {"mine": 8.004})
    assert verdict["candidate"] == "mine"
    assert verdict["value"] == (None if value is None else pytest.approx(value))
    assert in_words(verdict) == words
    (verdict,) = verdicts(asked, TIMED, {"mine": 8.004}, judged=False)
    assert in_words(verdict) == ("not measured" if value is None else "not judged")


def test_the_quickest_peer_is_asked_about_too() -> None:
    theirs = (candidate(name, "peer", torch.exp) for name in ("slow", "quick", "gone"))
    asked = case(*theirs, candidate("mine", "ours", torch.exp))
    timed = {**TIMED, "slow": timing(9, 9, 9), "quick": timing(2.3, 2.3, 2.3)}
    (verdict,) = verdicts(asked, timed, {})
    assert (verdict["candidate"], verdict["of"], verdict["limit"]) == ("mine", "quick", 1.0)
    assert in_words(verdict) == "missed by 4.5 %"


def test_nothing_asked_nothing_judged() -> None:
    assert verdicts(case(candidate("mine", "ours", torch.exp)), TIMED, {}) == []


def test_the_text_of_a_table() -> None:
    asked = case(
        candidate("mine", "ours", torch.exp),
        candidate("theirs", "peer", torch.sin),
        absent("gone", "peer", "not installed"),
        reach=Reach(1e6, of="plain", saved_mib=0.0),
    )
    row = measure(asked, Setting(rounds=2), bandwidth=1e9)
    about = {"cpu": "abacus", "cores": 2}
    results = {
        "machine": about,
        "versions": {"torch": "2", "theirs": None},
        "clock": "CPU time of the thread",
        "setting": {"quick": False, "device": "cuda"},
        "results": [row],
    }
    lines = table(results)
    text = "\n".join(lines)
    assert lines[0] == "cpu abacus, cores 2"
    assert lines[1] == "torch 2, theirs not installed"
    assert "a case  (2 rounds" in text
    gone = next(line for line in lines if "gone" in line)
    assert gone.split() == ["peer", "gone", "not", "installed"]
    assert next(line for line in lines if " plain" in line).split()[2] == "1.00"
    assert next(line for line in lines if line.startswith("  ours")).endswith(" %")  # bandwidth
    assert "(theirs); before this run: peer 4.3, prototype 2.4" in text
    assert "asked <= 1e+06: reached" in text
    assert "mine: saved 0.00, asked <= 0: reached" in text
    results["setting"] = {"quick": True, "device": "cpu"}
    text = "\n".join(table(results))
    assert "these figures mean nothing" in text
    assert "bandwidth" not in text


def test_the_bandwidth_of_a_copy() -> None:
    assert copy_bandwidth(QUICK) > 0


def test_a_name_as_a_file() -> None:
    assert slug("soft Conv2d 4->4, π per class") == "soft-conv2d-4-4-per-class"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rounds": 0}, "rounds must be at least 1"),
        ({"dtype": "fp64"}, "dtype must be one of fp32, bf16"),
        ({"device": "abacus"}, "device 'abacus': use cpu or cuda"),
        ({"device": "meta"}, "device 'meta': use cpu or cuda"),
    ],
)
def test_settings_that_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Setting(**settings)  # pyright: ignore[reportArgumentType]


def test_a_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SettingError, match="torch sees no such device"):
        Setting(device="cuda")
