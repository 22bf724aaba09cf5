"""Accuracy and leak over rounds, with isotropic noise, class mean + noise and the clean part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sfumato as sf
from sfumato.cli.common.settings import override
from sfumato.obfuscation import Plan

_COLUMNS = {
    "clean_only": "NN-p",
    "with_released": "NN'-p",
    "with_released_unscreened": "NN'-p unscreened",
    "obfuscated_test": "NN'-p, obfuscated test",
    "leak": "leak",
    "leak_linear": "leak, linear",
    "served_leak": "leak of served, linear",
    "constant_image": "constant image",
}


def run(config: dict[str, Any], source: str, out: Path, workers: int) -> tuple[dict[str, Any], str]:
    """Run the rounds of `config` on the data at `source`: the results and a Markdown table."""
    train, test = sf.data.splits(source)
    limits = config.get("train_records"), config.get("test_records")
    records = [sf.data.take(part, limit) for part, limit in zip((train, test), limits, strict=True)]
    results = sf.incremental(
        sf.train.small_cnn,
        records[0],
        test=records[1],
        plan=override(Plan(), config["plan"]),
        out=out,
        workers=workers,
        on_done=lambda name, result: print(f"{name}: {result}", flush=True),
    )
    return results, render(results)


def render(results: dict[str, Any]) -> str:
    """The table as Markdown; figures are percent, mean ± standard deviation over the seeds."""
    data, seeds = results["data"], results["seeds"]
    lines = [
        f"# {data['name']}: {data['train']} training records, {data['test']} test records",
        "",
        *[f"- {line}" for line in results["verdict"]],
        "",
        f"Percent, mean ± standard deviation over {len(seeds)} seeds ({seeds}). All records clean: "
        f"{_cell(results['ceiling'])}.",
        "",
        "| clean | " + " | ".join(_COLUMNS.values()) + " |",
        "|---" * (1 + len(_COLUMNS)) + "|",
    ]
    for entry in results["rounds"]:
        cells = [_cell(entry[key]) for key in _COLUMNS]
        lines.append(f"| {100 * entry['fraction']:g} | " + " | ".join(cells) + " |")
    lines += ["", "| baseline | clean | σ | accuracy | leak |", "|---|---|---|---|---|"]
    for entry in results["baselines"].get("few", ()):
        figures = f"{_cell(entry['accuracy'])} | {_cell(entry['leak'])}"
        name = f"only {100 * entry['share']:g} % released, isotropic"
        lines.append(f"| {name} | {100 * entry['fraction']:g} | {entry['sigma']:g} | {figures} |")
    mean = results["baselines"]["class_mean"]
    named = [("isotropic", entry) for entry in results["baselines"]["isotropic"]]
    for name, entry in named + ([("class mean + noise", mean)] if mean else []):
        figures = f"{_cell(entry['accuracy'])} | {_cell(entry['leak'])}"
        lines.append(f"| {name} | {100 * entry['fraction']:g} | {entry['sigma']:g} | {figures} |")
    made = results["provenance"]
    machine = f"{made['machine']['processor']}, {made['machine']['cores']} cores"
    lines += ["", f"torch {made['versions']['torch']}, {machine}, {made['date'][:10]}.", ""]
    return "\n".join(lines)


def _cell(figure: dict[str, float]) -> str:
    return f"{100 * figure['mean']:.1f} ± {100 * figure['std']:.1f}"
