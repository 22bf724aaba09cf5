"""The figures as text: a block for each case, then what was asked and whether it is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sfumato.bench.verdict import in_words

_HEADS = f"{'ratio':>7} {'quartiles':>13} {'wall':>7} {'ms':>9} {'saved MiB':>10}"


def table(results: Mapping[str, Any]) -> list[str]:
    """The lines to print for what `run_layers` returned."""
    return [*_about(results), *_blocks(results), *_summary(results)]


def headline(row: Mapping[str, Any]) -> str:
    """One line for a case that is done: its fastest of ours, and the fastest peer."""
    parts = [f"{role} {best}" for role in ("ours", "peer") if (best := _best(row, role))]
    return ", ".join([f"{row['case']}: {parts[0]}", *parts[1:]] if parts else [row["case"]])


def _about(results: Mapping[str, Any]) -> Iterator[str]:
    yield ", ".join(f"{key} {value}" for key, value in results["machine"].items())
    versions = results["versions"].items()
    yield ", ".join(f"{name} {number or 'not installed'}" for name, number in versions)
    yield f"ms: median, {results['clock']}; ratio: to the first line of a block, median of rounds"
    if results["setting"]["quick"]:
        yield "tiny sizes, to see that everything runs: these figures mean nothing"


def _blocks(results: Mapping[str, Any]) -> Iterator[str]:
    shares = results["setting"]["device"] != "cpu"
    names = [cell["name"] for row in results["results"] for cell in row["candidates"]]
    width = 2 + max(map(len, names), default=0)
    for row in results["results"]:
        load = f", load {row['load'][0]:.1f}" if row["load"] else ""
        yield ""
        yield f"{row['case']}  ({row['rounds']} rounds{load})"
        yield f"  {'':<{6 + width}}{_HEADS}" + (f" {'bandwidth':>10}" if shares else "")
        for cell in row["candidates"]:
            yield f"  {cell['role']:<6}{cell['name']:<{width}}{_figures(cell, shares)}"


def _figures(cell: Mapping[str, Any], shares: bool) -> str:
    if cell["reason"] is not None:
        return f"  {cell['reason']}"
    low, high = cell["quartiles"]
    saved = "" if cell["saved_mib"] is None else f"{cell['saved_mib']:.1f}"
    text = (
        f"{cell['ratio']:>7.2f} {f'{low:.2f}..{high:.2f}':>13} {cell['ratio_wall']:>7.2f} "
        f"{cell['ms']:>9.2f} {saved:>10}"
    )
    if shares:
        text += f" {100 * cell['bandwidth_share']:>8.0f} %"
    return text.rstrip()


def _summary(results: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield "asked, and whether it is there (a time is a ratio to the first line of its block)"
    for row in results["results"]:
        if not row["verdicts"]:
            continue
        yield f"  {row['case']}"
        yield f"      best peer: {_best(row, 'peer') or 'none'}{_known(row)}"
        for verdict in row["verdicts"]:
            value = "-" if verdict["value"] is None else f"{verdict['value']:.2f}"
            of = f" of {verdict['of']}" if verdict["of"] not in (None, row["baseline"]) else ""
            yield (
                f"      {verdict['candidate']}: {verdict['what']} {value}{of}, asked <= "
                f"{verdict['limit']:g}: {in_words(verdict)}"
            )


def _best(row: Mapping[str, Any], role: str) -> str:
    """The fastest candidate of a role, with its ratio; nothing where there is none."""
    those = [c for c in row["candidates"] if c["role"] == role and c["ratio"] is not None]
    if not those:
        return ""
    best = min(those, key=lambda cell: cell["ratio"])
    return f"{best['ratio']:.2f} ({best['name']})"


def _known(row: Mapping[str, Any]) -> str:
    if row["known"] is None:
        return ""
    return "; before this run: " + ", ".join(f"{who} {what}" for who, what in row["known"].items())
