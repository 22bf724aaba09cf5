"""Killed with SIGKILL before and after every file is put in place, rounds go on as if not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import os, signal, sys
from pathlib import Path
import sfumato.pixels.rounds.rounds as module
from tests.pixels.rounds.given import IMAGES, Draw, answered, begun, files

module._KEEP_EVERY = 2
replace = os.replace

def work(folder):
    rounds = begun(folder)
    while len(rounds.rounds()) < 2 or not rounds.rounds()[-1].complete:
        rounds.suggest(Draw(), IMAGES, 2)
        answers = answered(rounds)
        rounds.ingest(answers[:3], missing="wait")
        rounds.ingest(answers)

def killed(folder, at):
    steps = iter(range(1_000_000))
    def step(source, target):
        if next(steps) == at:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)
        if next(steps) == at:
            os.kill(os.getpid(), signal.SIGKILL)
    os.replace = step
    work(folder)
    os._exit(0)

out = Path(sys.argv[1])
work(out / "whole")
wanted, at = files(out / "whole"), 0
while True:
    folder = out / str(at)
    child = os.fork()
    if child == 0:
        killed(folder, at)
    status = os.waitpid(child, 0)[1]
    if status == 0:
        break
    assert os.WTERMSIG(status) == signal.SIGKILL, status
    work(folder)
    assert files(folder) == wanted, (at, files(folder))
    at += 1
print("killed", at)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_killed_at_every_write(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        cwd=root, check=False, capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{root}:{root / 'src'}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # Before and after: the head, and per round places so far, the round, two sets of answers.
    assert done.stdout.split() == ["killed", str(2 * (1 + 2 * 4))]
