"""A hard selection costs what one class costs: forward and backward, C = 100 against C = 1.

    OMP_NUM_THREADS=1 python -m benchmarks.conditional --out conditional.json

Both layers get the same records; only the number of classes differs. A step is the forward pass,
a fresh draw, and the backward pass to the input and to all parameters. The one thing that grows
with C is the gradient itself: it is dense, zeros for the classes that do not occur included, and
where it has hundreds of megabytes, writing them is what the time goes into.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import sfumato as sf
from sfumato.bench.timing import Work, machine, take_turns

TARGET = 1.5
AsWritten = argparse.RawDescriptionHelpFormatter


@dataclass(frozen=True)
class Case:
    """A 3x3 convolution on `side` x `side`, or a fully connected layer (side 0)."""

    channels: int
    side: int
    batch: int
    repeats: int = 1

    @property
    def name(self) -> str:
        """As the table shows it."""
        size = f"{self.channels}->{self.channels}"
        if self.side == 0:
            return f"ConditionalLinear {size}, batch {self.batch}"
        return f"ConditionalConv2d {size} 3x3, {self.side}x{self.side}, batch {self.batch}"

    def layer(self, num_classes: int) -> nn.Module:
        """The layer with `num_classes` sets of kernels."""
        if self.side == 0:
            return sf.nn.ConditionalLinear(num_classes, self.channels, self.channels)
        return sf.nn.ConditionalConv2d(num_classes, self.channels, self.channels, 3, padding=1)

    def records(self) -> Tensor:
        """A batch of inputs."""
        space = (self.side, self.side) if self.side else ()
        return torch.randn(self.batch, self.channels, *space)


CASES = (
    Case(64, 32, 32),
    Case(3, 32, 32, repeats=5),
    Case(16, 32, 32),
    Case(128, 16, 32),
    Case(256, 8, 32),
    Case(256, 0, 128, repeats=3),
)
QUICK = (Case(3, 8, 4), Case(8, 0, 4))


def step(layer: nn.Module, x: Tensor, labels: Tensor) -> Work:
    """One forward and backward pass, gradients made anew."""
    leaf = x.clone().requires_grad_()
    with torch.no_grad():
        upstream = torch.randn_like(layer(x, labels))
    wanted = [leaf, *layer.parameters()]

    def work() -> object:
        return torch.autograd.grad(layer(leaf, labels), wanted, upstream)

    return work


def measure(case: Case, rounds: int, num_classes: int = 100) -> dict[str, Any]:
    """The figures of one case."""
    torch.manual_seed(0)
    x = case.records()
    labels = torch.randint(num_classes, (case.batch,))
    work = {
        "one": step(case.layer(1), x, torch.zeros_like(labels)),
        "many": step(case.layer(num_classes), x, labels),
    }
    timed = take_turns(work, rounds, case.repeats)
    one, many = timed["one"], timed["many"]
    size = sum(parameter.numel() for parameter in case.layer(num_classes).parameters())
    return {
        "case": case.name,
        "classes": num_classes,
        "rounds": rounds,
        "one": one.figures(),
        "many": many.figures(),
        "gradient_mb": size * 4 / 1e6,
        "ratio": many.ratio(one),
        "ratio_wall": many.ratio(one, "wall"),
        "target": TARGET if case.side else None,
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The figures as text."""
    heads = f"{'C=1 ms':>9} {'C=100 ms':>9} {'grad MB':>8} {'ratio':>6} {'wall':>6} {'target':>7}"
    lines = [f"{'case':<52} {heads}"]
    for row in rows:
        target = "" if row["target"] is None else f"<= {row['target']}"
        lines.append(
            f"{row['case']:<52} {row['one']['cpu_ms']:>9.2f} {row['many']['cpu_ms']:>9.2f} "
            f"{row['gradient_mb']:>8.1f} "
            f"{row['ratio']:>6.2f} {row['ratio_wall']:>6.2f} {target:>7}"
        )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Measure, print the table, write the figures where `--out` says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=AsWritten)
    parser.add_argument("--rounds", type=int, default=21, help="rounds per case (default 21)")
    parser.add_argument("--quick", action="store_true", help="two tiny cases, to see that it runs")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    options = parser.parse_args(argv)
    about = machine()
    rows = [measure(case, options.rounds) for case in (QUICK if options.quick else CASES)]
    results = {"benchmark": "conditional", "machine": about, "results": rows}
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    print(table(rows))
    if options.out is not None:
        options.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return results


if __name__ == "__main__":
    main()
