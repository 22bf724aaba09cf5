"""The table as Markdown, and its picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.reidentification.paper import MEASURES, said

_LETTERS = {
    "parallel": "B",
    "bootstrap-hard": "H",
    "bootstrap-soft": "S",
    "forward-argmax": "F",
    "se-snn": "SE-SNN",
    "dropout": "dropout (control)",
}
Rows = Sequence[dict[str, Any]]


def render(results: dict[str, Any]) -> str:
    """The table; figures are per cent, mean ± standard deviation over the seeds."""
    config, data, seeds = results["config"], results["data"], results["seeds"]
    what = "Market-1501's own split" if data["market"] else "**virtual cameras, a stand-in**"
    lines = [
        f"# {config['title']}",
        "",
        *[f"- {line}" for line in verdict(results["rows"])],
        "",
        f"{data['name']}, {what}: {data['train']} training pictures of {data['identities']} "
        f"identities; others are asked for. Per cent, mean ± standard deviation over {len(seeds)} "
        f"seeds ({seeds}).",
        *[line for note in config.get("notes", []) for line in ("", note)],
        "",
        "The last column is the paper's, **on Market-1501 with a pre-trained ResNet-50**"
        + ("." if data["market"] else ": another data set and another network, not comparable."),
        "",
        "*Against B*: mAP less that of the baseline of equal size, on the same labels, by seed.",
        "",
    ]
    lines += _table(results["rows"])
    lines += _spread(results["rows"])
    made = results["provenance"]
    machine = f"{made['machine']['processor']}, {made['machine']['cores']} cores"
    return "\n".join(
        [*lines, "", f"torch {made['versions']['torch']}, {machine}, {made['date'][:10]}.", ""]
    )


def verdict(rows: Rows) -> list[str]:
    """Whether SE-SNN is above the baseline of equal size and the best, share by share."""
    lines = []
    for rate in dict.fromkeys(row["rate"] for row in rows):
        some = {row["method"]: row for row in rows if row["rate"] == rate}
        if "se-snn" not in some:
            continue
        gap, best = some["se-snn"]["gap"], max(some.values(), key=_precision)
        if gap["mean"] <= 0:
            word = "**below it**"
        elif gap["n"] > 1 and gap["mean"] > gap["std"]:
            word = "above it by more than the spread of the differences"
        else:
            word = "**not above it by more than the spread of the differences**"
        lines.append(
            f"{100 * rate:g} % wrong: SE-SNN against the baseline {100 * gap['mean']:+.2f} ± "
            f"{100 * gap['std']:.2f} points of mAP ({gap['above']} of {gap['n']} seeds above): "
            f"{word}. Best: {_LETTERS.get(best['method'], best['method'])}."
        )
    return lines


def _precision(row: dict[str, Any]) -> float:
    return row["mean_average_precision"]["mean"]


def _table(rows: Rows) -> list[str]:
    head = ["wrong", "method", *MEASURES.values(), "against B"]
    head += ["paper, Market-1501: mAP, ranks 1, 5, 10"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for row in rows:
        method, rate, gap = row["method"], row["rate"], row["gap"]
        cells = [f"{100 * rate:g} %", _LETTERS.get(method, method)]
        cells += [_percent(row[name]) for name in MEASURES]
        own = f"{100 * gap['mean']:+.2f} ± {100 * gap['std']:.2f}" if method != "parallel" else ""
        lines.append("| " + " | ".join([*cells, own, said(method, rate)]) + " |")
    return lines


def _spread(rows: Rows) -> list[str]:
    told = [row for row in rows if "auc_spread" in row]
    if not told:
        return []
    lines = [
        "",
        "## Spread of pictures with wrong and with right labels (fig. 3b)",
        "",
        "Paper: larger for wrong ones on average (figure only). Mean log σ of the stochastic unit; "
        "AUC: how well it ranks wrong labels first, 0.5 is guessing.",
        "",
        "| wrong | log σ, wrong | log σ, right | AUC |",
        "|---|---|---|---|",
    ]
    for row in told:
        keys = ("log_scale_wrong", "log_scale_right", "auc_spread")
        cells = [f"{row[key]['mean']:.3f} ± {row[key]['std']:.3f}" for key in keys]
        lines.append(f"| {100 * row['rate']:g} % | " + " | ".join(cells) + " |")
    return lines


def _percent(figure: dict[str, float]) -> str:
    return f"{100 * figure['mean']:.2f} ± {100 * figure['std']:.2f}"


def draw(results: dict[str, Any], path: Path) -> None:
    """Write mAP over the share of wrong labels, and mAP against the baseline, as a picture."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "sfumato"  # the same file for the same figures
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11, 4.5))
    for number, method in enumerate(dict.fromkeys(row["method"] for row in results["rows"])):
        rows = [row for row in results["rows"] if row["method"] == method]
        rows = sorted(rows, key=lambda row: row["rate"])
        style = {"marker": "o", "markersize": 4, "linewidth": 1, "color": f"C{number}"}
        for axis, key in zip(axes, ("mean_average_precision", "gap"), strict=True):
            means, stds = ([100 * row[key][k] for row in rows] for k in ("mean", "std"))
            bars = stds if key == "gap" else None  # over seeds mAP differs by the pictures
            label = _LETTERS.get(method, method)
            axis.errorbar([100 * row["rate"] for row in rows], means, bars, label=label, **style)
    axes[0].set(xlabel="wrong labels, %", ylabel="mAP, %")
    axes[1].set(xlabel="wrong labels, %", ylabel="mAP against the baseline, points")
    for axis in axes:
        axis.grid(alpha=0.3)
    axes[1].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure)
