"""The table as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from experiments.label_noise.paper import ACCURACY

Rows = Sequence[dict[str, Any]]


def render(results: dict[str, Any]) -> str:
    """The page; figures are mean ± standard deviation over the seeds."""
    data, seeds = results["data"], results["seeds"]
    title = results["config"].get("title", "Learning from wrong labels")
    lines = [f"# {title}", ""]
    lines += [line for text in results["verdict"] for line in (f"- {text}",)]
    lines += [
        "",
        f"{data['name']}: {data['train']} training records with labels made wrong, {data['test']} "
        f"test records with clean ones; a network {data['shape']}. Mean ± standard deviation over "
        f"{len(seeds)} seeds ({seeds}); a seed is a pattern of flips, which records they hit, and "
        "the weights. Last epoch, mean path, one recipe for all methods "
        f"({_recipe(results['recipe'])}).",
        *[line for note in results["config"].get("notes", []) for line in ("", note)],
    ]
    lines += _curves(results["rows"])
    for study in results["studies"]:
        lines += _study(study)
    lines += _convergence(results["convergence"])
    lines += _pruned(results["pruned"])
    made = results["provenance"]
    machine = f"{made['machine']['processor']}, {made['machine']['cores']} cores"
    return "\n".join(
        [*lines, "", f"torch {made['versions']['torch']}, {machine}, {made['date'][:10]}.", ""]
    )


def _recipe(recipe: dict[str, Any]) -> str:
    return (
        f"{recipe['optimizer'].capitalize()} at {recipe['lr']:g}, {recipe['schedule']}, "
        f"{recipe['epochs']} epochs of batches of {recipe['batch_size']}"
    )


def _curves(rows: Rows) -> list[str]:
    lines: list[str] = []
    for noise in dict.fromkeys(row["noise"] for row in rows):
        some = [row for row in rows if row["noise"] == noise]
        rates = sorted({row["rate"] for row in some})
        for rate in [0.4] if 0.4 in rates else rates[-1:]:
            lines += _one_rate(some, noise, rate)
        if len(rates) > 1:
            lines += _grid(some, rates, "accuracy", f"Accuracy over p, {noise}, per cent")
            lines += _grid(some, rates, "calibration_error", "Expected calibration error")
            lines += _grid(some, rates, "auc_loss", "AUC of suspicion by the loss of the label")
    return lines


def _one_rate(rows: Rows, noise: str, rate: float) -> list[str]:
    """All figures at one p, beside the paper's."""
    paper = ACCURACY.get((noise, rate), {})
    head = ["method", "paper, %", "accuracy, %", "calibration error", "AUC loss", "AUC spread"]
    lines = [
        "",
        f"## {noise.capitalize()} noise, p = {rate:g}",
        "",
        "The paper's figures are from its text; where it has a curve alone the place is empty. "
        "AUC: how well the score ranks wrong labels before right ones, 0.5 is guessing.",
        "",
        "| " + " | ".join([*head, "error of the matrix"]) + " |",
        "|---" * 7 + "|",
    ]
    for row in rows:
        if row["rate"] != rate:
            continue
        said = f"{paper[row['method']]:.2f}" if row["method"] in paper else ""
        keys = ("calibration_error", "auc_loss", "auc_spread", "matrix_error")
        cells = [row["method"], said, _percent(row["accuracy"])]
        cells += [_share(row.get(key)) for key in keys]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _grid(rows: Rows, rates: Sequence[float], key: str, title: str) -> list[str]:
    shown = _percent if key == "accuracy" else _share
    lines = ["", f"### {title}", ""]
    lines += ["| method | " + " | ".join(f"p = {rate:g}" for rate in rates) + " |"]
    lines += ["|---" * (1 + len(rates)) + "|"]
    for method in dict.fromkeys(row["method"] for row in rows):
        at = {row["rate"]: row.get(key) for row in rows if row["method"] == method}
        cells = [shown(at.get(rate)) for rate in rates]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return lines


def _study(study: dict[str, Any]) -> list[str]:
    spread = any("log_scale_wrong" in row for row in study["rows"])
    head = ["setting", "accuracy, %", "calibration error", "AUC loss"]
    head += ["log σ right", "log σ wrong", "AUC spread"] if spread else []
    lines = [
        "",
        f"## {study['title']}",
        "",
        f"Paper: {study['paper']}. Here p = {study['rate']:g}, {study['noise']}.",
        "",
        "| " + " | ".join(head) + " |",
        "|---" * len(head) + "|",
    ]
    keys = ["calibration_error", "auc_loss"]
    keys += ["log_scale_right", "log_scale_wrong", "auc_spread"] if spread else []
    for row in study["rows"]:
        cells = [row["label"], _percent(row["accuracy"]), *(_share(row.get(k)) for k in keys)]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _convergence(found: Rows) -> list[str]:
    """The losses of the last stage epoch by epoch; the picture holds them as curves."""
    if not found:
        return []
    epochs = max(len(losses) for row in found for losses in row["losses"].values())
    lines = [
        "",
        "## Losses by epoch (fig. B.4)",
        "",
        "Paper: Bootstrap and Forward have larger losses than the rest, and SE-SNN converges as "
        f"fast as the others (figure only). Here p = {found[0]['rate']:g}; every stage of a method "
        "is a row, each with its own loss, max-entropy included where it has one.",
        "",
        "| method, stage | " + " | ".join(map(str, range(1, epochs + 1))) + " |",
        "|---" * (1 + epochs) + "|",
    ]
    for row in found:
        for stage, losses in row["losses"].items():
            cells = [f"{loss:.3f}" for loss in losses] + [""] * (epochs - len(losses))
            name = row["method"] if len(row["losses"]) == 1 else f"{row['method']}, {stage}"
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def _pruned(found: dict[str, Any] | None) -> list[str]:
    if not found:
        return []
    head = ["network", "shape", "weights", "multiplications", "paper, %", "accuracy, %"]
    lines = [
        "",
        f"## Pruned on wrong labels (appendix B.2), p = {found['rate']:g}",
        "",
        "| " + " | ".join([*head, "calibration error", "AUC loss"]) + " |",
        "|---" * 8 + "|",
    ]
    for row in found["rows"]:
        size = [f"{row[key]:,.0f}" for key in ("parameters", "multiplications")]
        said = "" if row["paper"] is None else f"{row['paper']:.2f}"
        shares = [_share(row.get(key)) for key in ("calibration_error", "auc_loss")]
        cells = [row["label"], row["shape"], *size, said, _percent(row["accuracy"]), *shares]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _percent(figure: dict[str, float] | None) -> str:
    return "" if figure is None else f"{100 * figure['mean']:.2f} ± {100 * figure['std']:.2f}"


def _share(figure: dict[str, float] | None) -> str:
    return "" if figure is None else f"{figure['mean']:.3f} ± {figure['std']:.3f}"
