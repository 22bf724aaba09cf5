"""The layers beside their peers, as ratios to the plain torch layer of the same run.

    OMP_NUM_THREADS=1 python -m benchmarks.layers --out layers.json

The same as `sfumato bench layers`, with one file as the outcome; docs/benchmarks.md says how it is
measured and how to read it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sfumato.bench import Setting, run_layers, table
from sfumato.files import write_json

AsWritten = argparse.RawDescriptionHelpFormatter


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Measure, print the table, write the figures where `--out` says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=AsWritten)
    parser.add_argument("--rounds", type=int, default=21, help="rounds per case (default 21)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    parser.add_argument("--dtype", default="fp32", help="fp32 or bf16 (default fp32)")
    parser.add_argument("--compiled", action="store_true", help="the steps under torch.compile too")
    parser.add_argument("--only", default="", help="a part of the names of the cases to run")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    options = vars(parser.parse_args(argv))
    setting = Setting(**{field.name: options[field.name] for field in fields(Setting)})
    with TemporaryDirectory() as folder:
        results = run_layers(setting, Path(folder))
    print("\n".join(table(results)))
    if options["out"] is not None:
        write_json(options["out"], results)
    return results


if __name__ == "__main__":
    main()
