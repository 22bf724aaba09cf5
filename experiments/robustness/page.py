"""The table as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from experiments.robustness.figures import at
from experiments.robustness.words import percent

Rows = Sequence[dict[str, Any]]
TABLES = (
    ("curve/cross_entropy", "FGS on the cross-entropy, as in the paper", "ε = "),
    ("curve/margin", "FGS on the margin between logits", "ε = "),
    ("suite/worst", "The worst over the suite, for each record", "ε = "),
    ("budget/carlini-wagner", "CW-L2: accuracy at a budget in L2", "L2 "),
    ("budget/margin-pgd", "Ascent on the margin at the same budgets", "L2 "),
    ("budget/lower", "The lower of the two", "L2 "),
    ("certificate/certified", "Certified accuracy at an L2 radius", "radius "),
)


def render(results: dict[str, Any]) -> str:
    """The page; figures are per cent, mean ± standard deviation over the seeds."""
    data, seeds, config = results["data"], results["seeds"], results["config"]
    lines = [f"# {config['title']}", ""]
    lines += [f"- {text}" for text in results["verdict"]]
    lines += [
        "",
        f"{data['name']}: {data['train']} training records, {data['test']} test records. All "
        f"figures are accuracies in per cent, mean ± standard deviation over {len(seeds)} seeds "
        f"({seeds}). {_recipe(results['recipe'])} Rows may say otherwise. {_measured(config)}",
        *[line for note in config.get("notes", []) for line in ("", note)],
    ]
    for group in dict.fromkeys(row["group"] for row in results["rows"]):
        some = [row for row in results["rows"] if row["group"] == group]
        lines += ["", f"## {group}", *_overview(some)]
        for prefix, title, unit in TABLES:
            lines += _table(some, prefix, title, unit)
        lines += _strongest(some)
    lines += _reasons(results["rows"], "reasons", "Why gradients are held to be masked")
    lines += _reasons(results["rows"], "signs", "Signs that so few records do not settle")
    made = results["provenance"]
    machine = f"{made['machine']['processor']}, {made['machine']['cores']} cores"
    return "\n".join(
        [*lines, "", f"torch {made['versions']['torch']}, {machine}, {made['date'][:10]}.", ""]
    )


def _recipe(recipe: dict[str, Any]) -> str:
    return (
        f"{recipe['optimizer'].capitalize()} at {recipe['lr']:g}, {recipe['schedule']}, "
        f"{recipe['epochs']} epochs of batches of {recipe['batch_size']}."
    )


def _measured(config: dict[str, Any]) -> str:
    """On how many records each figure is, and what the attack had."""
    words = {
        "curve": "FGS",
        "budget": "L2 budgets",
        "suite": "suite",
        "certificate": "certificates",
        "noise": "noise to mean (the median of σ/|μ| over records and neurons)",
    }
    told = []
    for name, settings in config["measures"].items():
        more = [f"{settings['draws']} draws"] if "draws" in settings else []
        if name == "suite":
            more.append(f"the {settings.get('attacks', 'standard')} one")
        if name == "certificate":
            more.append(f"n = {settings.get('n', 10_000):,}")
        told.append(", ".join([f"{words[name]}: {settings['records']} records", *more]))
    return "; ".join(told) + ". Every example is scored with fresh noise."


def _overview(rows: Rows) -> list[str]:
    head = ["row", "paper", "without attack", "passes a record", "minutes of training"]
    shown = [key for key in ("certificate/abstained", "certificate/radius") if _has(rows, key)]
    head += [
        {"certificate/abstained": "abstained", "certificate/radius": "mean radius"}[k]
        for k in shown
    ]
    masked = _has(rows, "suite/masked")
    head += ["gradient masking"] if masked else []
    noisy = any("noise/ratio" in row["figures"] for row in rows)
    head += ["noise to mean"] if noisy else []
    lines = ["", *_head(head)]
    for row in rows:
        passes, seconds = (row["figures"][key]["mean"] for key in ("passes", "seconds"))
        cells = [row["label"], row["paper"], percent(row["figures"]["clean"])]
        cells += [f"{passes:g}", f"{seconds / 60:.1f}"]
        if "certificate/abstained" in shown:
            cells.append(percent(row["figures"]["certificate/abstained"]))
        if "certificate/radius" in shown:
            cells.append(f"{row['figures']['certificate/radius']['mean']:.3f}")
        if masked:
            found, unsettled = (
                row["figures"][f"suite/{key}"]["values"] for key in ("masked", "unsettled")
            )
            more = f", {sum(unsettled):g} not to tell" if any(unsettled) else ""
            cells.append(f"{sum(found):g} of {len(found)} seeds{more}")
        if noisy:
            ratio = row["figures"].get("noise/ratio")
            cells.append("" if ratio is None else f"{ratio['mean']:.2g} ± {ratio['std']:.1g}")
        lines.append(_line(cells))
    return lines


def _table(rows: Rows, prefix: str, title: str, unit: str) -> list[str]:
    columns = list(dict.fromkeys(key for row in rows for key in at(row, prefix)))
    if not columns:
        return []
    lines = ["", f"### {title}", "", *_head(["row", "paper", *(f"{unit}{e}" for e in columns)])]
    for row in rows:
        found = at(row, prefix)
        lines.append(_line([row["label"], row["paper"], *(percent(found.get(e)) for e in columns)]))
    return lines


def _strongest(rows: Rows) -> list[str]:
    """Which attack did best, seed by seed."""
    told = []
    for row in rows:
        for epsilon in row["strongest"][0] if row["strongest"] else ():
            names = dict.fromkeys(one[epsilon] for one in row["strongest"])
            told.append(f"{row['label']} at ε = {epsilon}: {', '.join(names)}")
    return ["", f"The single attack that did best: {'; '.join(told)}."] if told else []


def _reasons(rows: Rows, key: str, title: str) -> list[str]:
    lines: list[str] = []
    for row in rows:
        if row[key]:
            more = len(row[key]) - 3
            kept = [*row[key][:3], *([f"and {more} more"] if more > 0 else [])]
            lines.append(f"- {row['group']}, {row['label']}: {'; '.join(kept)}.")
    return ["", f"## {title}", "", *lines] if lines else []


def _has(rows: Rows, key: str) -> bool:
    return all(key in row["figures"] for row in rows)


def _head(cells: Sequence[str]) -> list[str]:
    return [_line(cells), "|---" * len(cells) + "|"]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
