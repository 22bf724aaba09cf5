"""A run that is killed in any phase ends, when it is run again, as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import sfumato as sf
from tests.house.source import ROOT
from tests.obfuscation import killed, tiny


@pytest.fixture(scope="module")
def runs() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.obfuscation.killed"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def end(runs: subprocess.Popen[str], phase: str, out: Path, how: signal.Signals) -> int:
    """Run until `phase` hangs, end the process there, and return its exit code."""
    assert runs.stdin is not None and runs.stdout is not None
    runs.stdin.write(json.dumps([phase, str(out)]) + "\n")
    runs.stdin.flush()
    state, process = runs.stdout.readline().split()
    assert state == "hangs", f"the run ended with {process} before {phase}"
    os.kill(int(process), how)
    state, code = runs.stdout.readline().split()
    assert state == "ended"
    return int(code)


def phases(out: Path) -> dict[str, int]:
    """The phases that progress files show, with the epoch that was reached last."""
    events = [json.loads(p.read_text(encoding="utf-8")) for p in (out / "progress").iterdir()]
    return {event["phase"]: event["epoch"] for event in events}


def names(out: Path, pattern: str) -> set[str]:
    return {str(path.relative_to(out)) for path in out.rglob(pattern)}


def assert_whole(out: Path) -> None:
    """Whatever stands under a final name can be read."""
    for path in out.rglob("*.json"):
        json.loads(path.read_text(encoding="utf-8"))
    for path in out.rglob("*.safetensors"):
        load_file(path)
    for path in out.rglob("*.checkpoint"):
        torch.load(path, weights_only=True)


def killed_twice(runs: subprocess.Popen[str], phase: str, out: Path) -> None:
    """After the first epoch, and after the second: the first one is not trained again."""
    for epoch in (1, 2):
        assert end(runs, phase, out, signal.SIGKILL) == -signal.SIGKILL
        assert phases(out)[phase] == epoch
        assert_whole(out)


def test_killed_in_every_phase(runs: subprocess.Popen[str], tmp_path: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "killed"
    expected = killed.run(whole)
    final = "state/round-0.2/seed-0/release.safetensors"

    for phase in ("NN-20", "SL-20"):
        killed_twice(runs, phase, out)
    assert not names(out, "*.part")

    # Ctrl-C while the releases are written leaves nothing of them, SIGKILL a hidden part.
    assert end(runs, killed.RELEASE, out, signal.SIGINT) == 130
    assert not names(out, "*.part") and not (out / final).exists()
    assert end(runs, killed.RELEASE, out, signal.SIGKILL) == -signal.SIGKILL
    assert len(names(out, ".*.part")) == 1 and not (out / final).exists()
    parts = names(out, "*.part")

    for phase in ("with_released", "with_released_unscreened"):
        killed_twice(runs, phase, out)
    released = (out / final).read_bytes()

    for epoch in (1, 2):
        assert end(runs, "all clean", out, signal.SIGINT) == 130
        assert phases(out)["all clean"] == epoch
    assert end(runs, "learner", out, signal.SIGKILL) == -signal.SIGKILL
    assert end(runs, "SL-40", out, signal.SIGKILL) == -signal.SIGKILL
    assert_whole(out)
    assert names(out, "*.part") == parts

    assert tiny.settled(killed.run(out)) == tiny.settled(expected)
    assert (out / final).read_bytes() == released == (whole / final).read_bytes()
    folders = (folder / "obfuscator" for folder in (out, whole))
    digests = {sf.Obfuscator.load(path, unaudited_ok=True).digest() for path in folders}
    assert len(digests) == 1
    assert names(out, "*.safetensors") == names(whole, "*.safetensors")
