"""Run one configuration of one table, and write the table beside it.

Example:
    python -m experiments.run experiments/incremental/small.yaml
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import Any

import yaml

from sfumato.files import atomic, prepare_folder, write_json


def main(arguments: list[str] | None = None) -> int:
    """Read the configuration, run its table, and write `<configuration>.md` and `.json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Formatter)
    parser.add_argument("configuration", type=Path, help="a YAML file in a table's folder")
    parser.add_argument("--data", help="instead of the configuration's data")
    parser.add_argument("--out", type=Path, help="the run's folder (cells, networks, releases)")
    parser.add_argument("--workers", type=int, default=2, help="processes at a time")
    parser.add_argument("--to", type=Path, help="where the table goes, by default beside the file")
    given = parser.parse_args(arguments)
    config = yaml.safe_load(given.configuration.read_text(encoding="utf-8"))
    name = f"{given.configuration.parent.name}-{given.configuration.stem}"
    out = prepare_folder(given.out or Path("runs") / name)
    # A folder of configurations may share tables: each then says whose it is.
    kind = config.pop("table", given.configuration.parent.name)
    table: Any = importlib.import_module(f"experiments.{kind}.table")
    results, text = table.run(config, given.data or config["data"], out, given.workers)
    # How it was called names folders of this machine; the configuration says how to call it.
    results["provenance"].pop("command", None)
    target = prepare_folder(given.to or given.configuration.parent)
    write_json(target / f"{given.configuration.stem}.json", results)
    with atomic(target / f"{given.configuration.stem}.md") as part:
        part.write_text(with_command(text, given.configuration), encoding="utf-8")
    if hasattr(table, "draw"):
        with atomic(target / f"{given.configuration.stem}.svg") as part:
            table.draw(results, part)
    print(text)
    return 0


def with_command(text: str, configuration: Path) -> str:
    """The page, and how its configuration says that it is made again."""
    lines = configuration.read_text(encoding="utf-8").splitlines()
    found = next((line for line in lines if line.startswith("# Run: ")), None)
    return text if found is None else f"{text}\nCommand: `{found.removeprefix('# Run: ')}`\n"


class _Formatter(argparse.RawDescriptionHelpFormatter):
    pass


if __name__ == "__main__":
    raise SystemExit(main())
