"""Choosing k of N pixels takes time and memory linear in N, not in k times N.

    OMP_NUM_THREADS=1 python -m benchmarks.pixels --out benchmarks/pixels.json

For pictures of growing sides, and 5 % of their pixels:

- drawing the mask from logits, forward and backward: one pixel per cell, the k best by a threshold
  (both ours), and the relaxed subset of Xie and Ermon (2019), the usual Gumbel top-k, which takes a
  softmax over all pixels for each of the k; beside them one softmax over all pixels, the floor;
- `suggest`: a `Stratified` selector from the picture to locations; beside it its query network
  alone, the floor;
- `train`: a step with one picture, from the mask to the U-Net and back, by the gradient and by
  pairs of draws.

Times are CPU time of one thread, the candidates of a side in turn; memory is by how much the
resident set of a process of its own grows (on Linux). What would take more than `--limit` GiB is
not run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import sfumato as sf
from sfumato.bench.timing import Work, machine, take_turns
from sfumato.noise.source import TORCH
from sfumato.pixels.predictors import UNet
from sfumato.pixels.scenes import Scenes, inpainting
from sfumato.pixels.selectors import Stratified, draws
from sfumato.pixels.training import GainSettings, PixelRecipe, train

SHARE = 0.05
SIDES, QUICK = (64, 128, 256, 512, 1024), (16, 32)
TARGET_SECONDS = 1.0
"""What `suggest` may take for a picture of 1024 x 1024 (one core, idle)."""
SUBSET = "relaxed subset, O(k·N)"
AsWritten = argparse.RawDescriptionHelpFormatter


def relaxed_subset(logits: Tensor, k: int, temperature: float = 1.0) -> Tensor:
    """The sum of k softmaxes, each without what those before have taken (Xie and Ermon 2019)."""
    scores = logits.flatten(1) + draws.gumbel(logits, TORCH).flatten(1)
    taken = torch.zeros_like(scores)
    chosen = torch.zeros_like(scores)
    for _ in range(k):
        scores = scores + torch.log((1 - taken).clamp_min(1e-20))
        taken = torch.softmax(scores / temperature, dim=1)
        chosen = chosen + taken
    return chosen.reshape(logits.shape)


def subset_gib(side: int) -> float:
    """What the backward pass of `relaxed_subset` must keep: four planes for each of the k."""
    return 4 * 4 * budget(side) * side**2 / 2**30


def budget(side: int) -> int:
    """Pixels to choose."""
    return round(SHARE * side**2)


def drawing(side: int) -> dict[str, Work]:
    """Ways of drawing a mask, forward and backward."""
    torch.manual_seed(0)
    logits = torch.randn(1, 1, side, side, requires_grad=True)
    upstream, nothing, k = (
        torch.randn(1, 1, side, side),
        torch.zeros(1, 1, side, side),
        budget(side),
    )

    def back(make: Callable[[], Tensor]) -> Work:
        return lambda: torch.autograd.grad(make(), logits, upstream)

    def noise() -> Tensor:
        return draws.gumbel(nothing, TORCH)

    return {
        "one softmax, the floor": back(
            lambda: torch.softmax((logits + noise()).flatten(1), 1).reshape(logits.shape)
        ),
        "one per cell": back(lambda: draws.stratified(logits, nothing, k, noise=noise())),
        "k best": back(lambda: draws.top_k(logits, nothing, k, noise=noise())),
        SUBSET: back(lambda: relaxed_subset(logits, k)),
    }


def suggesting(side: int) -> dict[str, Work]:
    """From a picture to locations, and the query network alone."""
    torch.manual_seed(0)
    selector, picture = Stratified(3, (side, side)), torch.rand(1, 3, side, side)

    @torch.no_grad()
    def scores() -> object:
        return selector.scores(selector.look(picture))

    def locations() -> object:
        with sf.sampling(selector, "mean"):
            return selector.query(picture, None, budget(side))

    return {"query network, the floor": scores, "suggest": locations}


def training(side: int) -> dict[str, Work]:
    """A step with one picture."""
    torch.manual_seed(0)
    scenes = inpainting(torch.rand(1, 3, side, side))

    def step(learning: str) -> Work:
        selector, predictor = Stratified(3, (side, side)), UNet(3, scenes.task)
        return lambda: _trained(selector, predictor, scenes, learning)

    return {"by the gradient": step("gradient"), "by pairs, a step of each": step("gains")}


def _trained(selector: Stratified, predictor: UNet, scenes: Scenes, learning: Any) -> object:
    """One step; by pairs one of the predictor and one of the selector."""
    gains = GainSettings(share=1.0, steps=1)
    recipe = PixelRecipe(steps=1, batch_size=1, warm_up=0.0, learning=learning, gains=gains)
    return train(selector, predictor, scenes, budget(scenes.size[0]), recipe=recipe)


KINDS: dict[str, Callable[[int], dict[str, Work]]] = {
    "draw": drawing,
    "suggest": suggesting,
    "train": training,
}


def measure(kind: str, side: int, rounds: int, limit: float) -> list[dict[str, Any]]:
    """The rows of one kind of work at one side."""
    work = KINDS[kind](side)
    if SUBSET in work and subset_gib(side) > limit:
        del work[SUBSET]
    timed = take_turns(work, rounds)
    floor = timed[next(iter(work))]
    return [
        {
            "kind": kind,
            "way": way,
            "side": side,
            "k": budget(side),
            **timing.figures(),
            "us_per_pixel": 1e3 * timing.figures()["cpu_ms"] / side**2,
            "ratio": timing.ratio(floor),
            "mib": grown(kind, way, side),
        }
        for way, timing in timed.items()
    ]


def grown(kind: str, way: str, side: int) -> float:
    """By how many MiB a process of its own grows when it does this once."""
    command = [sys.executable, "-m", "benchmarks.pixels", "--once", kind, way, str(side)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ)
    return float(done.stdout.split()[-1])


def once(kind: str, way: str, side: int) -> float:
    """The growth of this process, in MiB."""
    torch.set_num_threads(1)
    KINDS[kind](16)[way]()  # what is loaded at the first call is not the work's
    work = KINDS[kind](side)[way]
    # Not `getrusage`: its peak is that of the parent process too.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak is the present
    before = _resident("VmRSS")
    work()
    return (_resident("VmHWM") - before) / 1024


def _resident(name: str) -> int:
    """KiB of this process, now or at the peak."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def skipped(sides: Sequence[int], limit: float) -> list[str]:
    """What was too large to run."""
    return [
        f"{SUBSET}, {side} x {side}: not run, it would keep {subset_gib(side):.0f} GiB"
        for side in sides
        if subset_gib(side) > limit
    ]


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The figures as text."""
    lines = [
        f"{'work':<34} {'side':>5} {'k':>6} {'cpu ms':>9} {'wall ms':>9} {'us/pixel':>9} "
        f"{'MiB':>8} {'bytes/pixel':>12} {'to first':>9}"
    ]
    lines += [
        f"{row['kind'] + ': ' + row['way']:<34} {row['side']:>5} {row['k']:>6} "
        f"{row['cpu_ms']:>9.2f} {row['wall_ms']:>9.2f} {row['us_per_pixel']:>9.3f} "
        f"{row['mib']:>8.1f} {row['mib'] * 2**20 / row['side'] ** 2:>12.0f} "
        f"{row['ratio']:>9.2f}"
        for row in rows
    ]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Measure, print the table, write the figures where `--out` says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=AsWritten)
    parser.add_argument("--rounds", type=int, default=7, help="rounds per case (default 7)")
    parser.add_argument("--limit", type=float, default=2.0, help="GiB for one way (default 2)")
    parser.add_argument("--quick", action="store_true", help="small sides, to see that it runs")
    parser.add_argument("--once", nargs=3, metavar=("KIND", "WAY", "SIDE"), help="memory of one")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    options = parser.parse_args(argv)
    if options.once:
        kind, way, side = options.once
        print(once(kind, way, int(side)))
        return {}
    about, sides = machine(), QUICK if options.quick else SIDES
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    rows = [
        row
        for kind in KINDS
        for side in sides
        for row in measure(kind, side, options.rounds, options.limit)
    ]
    left_out = skipped(sides, options.limit)
    results = {"benchmark": "pixels", "machine": about, "results": rows, "left_out": left_out}
    print("\n".join([table(rows), *left_out]))
    if options.out is not None:
        options.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return results


if __name__ == "__main__":
    main()
