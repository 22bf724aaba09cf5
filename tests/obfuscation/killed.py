"""Tiny runs that hang in a given phase, each in a process of its own, for a test to end there.

Reads lines of JSON, phase and folder, from standard input. A run says "hangs" and its process
number when it does; when its process is gone, "ended" and the exit code follow. One process
imports, the runs are its forks.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch

import sfumato as sf
from sfumato.obfuscation import rounds
from tests.obfuscation import tiny

PLAN = tiny.plan(fractions=(0.2, 0.4), seeds=(0,), sigmas=(0.5,))
RELEASE = "release"


def run(out: Path) -> dict[str, Any]:
    train, test = tiny.records()
    return sf.incremental(tiny.linear, train, test=test, plan=PLAN, out=out)


def hang() -> None:
    print("hangs", os.getpid(), flush=True)
    time.sleep(60)


def hang_in_training(phase: str) -> None:
    """In the epoch after the first one that this process reports of `phase`."""
    write, reached = rounds.write_json, False

    def write_json(path: Path, content: Any) -> None:
        nonlocal reached
        write(path, content)
        reached = reached or content.get("phase") == phase

    step = torch.optim.Adam.step

    def stepping(self: torch.optim.Adam, closure: Any = None) -> Any:
        if reached:
            hang()
        return step(self, closure)

    rounds.write_json = write_json
    torch.optim.Adam.step = stepping


def hang_in_release() -> None:
    """With half of the releases written."""
    save = rounds.save_file

    def save_file(tensors: dict[str, torch.Tensor], path: Path) -> None:
        save(tensors, path)
        if "values" in tensors:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
            hang()

    rounds.save_file = save_file


def child(phase: str, out: Path) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    hang_in_release() if phase == RELEASE else hang_in_training(phase)
    code = 1
    try:
        run(out)
        code = 0
    except KeyboardInterrupt:
        code = 130
    finally:
        os._exit(code)


def warm_up() -> None:
    """Once for all forks, what takes long the first time; no gradient, for that starts threads."""
    tiny.records()
    weight = torch.nn.Parameter(torch.zeros(1))
    weight.grad = torch.zeros(1)
    torch.optim.Adam([weight]).step()


if __name__ == "__main__":
    torch.set_num_threads(1)
    warm_up()
    for line in sys.stdin:
        phase, folder = json.loads(line)
        process = os.fork()
        if process == 0:
            child(phase, Path(folder))
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        print("ended", code, flush=True)
