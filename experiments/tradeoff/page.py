"""The table as Markdown, and its plot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_COLUMNS = {
    "accuracy": "accuracy",
    "leak": "leak",
    "leak_released": "leak of the released",
    "leak_95": "95th percentile of these",
    "ssim": "SSIM",
    "linkage": "linked",
}


def render(results: dict[str, Any]) -> str:
    """The table; figures are percent, mean ± standard deviation over the seeds."""
    data, seeds = results["data"], results["seeds"]
    lines = [
        f"# {data['name']}: {data['train']} training records, {data['test']} test records",
        "",
        f"{'x'.join(map(str, data['shape']))}, {100 * data['clean']:g} % clean. Percent, "
        f"mean ± standard deviation over {len(seeds)} seeds ({seeds}). Accuracy is that on clean "
        f"test records. All records clean: "
        f"{_cell(results['ceiling'])}; the clean part alone: {_cell(results['clean_only'])}.",
        "",
        "*Leak* is over all records that could have been released, *leak of the released* over "
        "those that were. *× isotropic* is the leak over that of isotropic noise at the same "
        "accuracy, first of all records, then of the released ones.",
        "",
        *_rows(results["training"]),
        "",
        "## Within 3 points of all records clean",
        "",
        "The areas under the curves of accuracy and leak, over that of isotropic noise: of all "
        "records, and of the released ones alone. *Reached* is the part of these accuracies that "
        "the method reaches.",
        "",
        *_merit(results["merit"]),
    ]
    if results["inference"]:
        lines += [
            "",
            "## Inference alone",
            "",
            "A frozen network of all records in clear; inputs are obfuscated, their label unknown.",
            "",
            *_rows(results["inference"]),
        ]
    made = results["provenance"]
    machine = f"{made['machine']['processor']}, {made['machine']['cores']} cores"
    return "\n".join(
        [*lines, "", f"torch {made['versions']['torch']}, {machine}, {made['date'][:10]}.", ""]
    )


def _rows(rows: list[dict[str, Any]]) -> list[str]:
    columns = {key: name for key, name in _COLUMNS.items() if any(key in row for row in rows)}
    head = ["method", "settings", *columns.values(), "× isotropic"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for row in rows:
        settings = ", ".join(f"{key} {_plain(value)}" for key, value in row["settings"].items())
        cells = [_cell(row[key]) if key in row else "" for key in columns]
        ratio = f"{_number(row['ratio'])}, {_number(row['ratio_released'])}"
        lines.append("| " + " | ".join([row["method"], settings, *cells, ratio]) + " |")
    return lines


def _merit(entries: list[dict[str, Any]]) -> list[str]:
    lines = ["| method | all | released | reached |", "|---|---|---|---|"]
    for entry in entries:
        numbers = [_number(entry["leak_ratio"]), _number(entry["leak_released_ratio"])]
        lines.append(
            f"| {entry['method']} | {' | '.join(numbers)} | {100 * entry['covered']:.0f} % |"
        )
    return lines


def _cell(figure: dict[str, float]) -> str:
    return f"{100 * figure['mean']:.1f} ± {100 * figure['std']:.1f}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def draw(results: dict[str, Any], path: Path) -> None:
    """Write the curves of accuracy and leak as a picture (SVG)."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "sfumato"  # the same file for the same figures
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), sharey=True)
    for axis, leak, title in (
        (axes[0], "leak", "leak, all records"),
        (axes[1], "leak_released", "leak, released records"),
    ):
        methods = dict.fromkeys(row["method"] for row in results["training"])
        for number, method in enumerate(methods):
            rows = [row for row in results["training"] if row["method"] == method]
            points = sorted((row[leak]["mean"], 100 * row["accuracy"]["mean"]) for row in rows)
            style = "k-o" if method == "isotropic" else f"C{number % 10}--o"
            axis.plot(*zip(*points, strict=True), style, label=method, markersize=4, linewidth=1)
        axis.axhline(100 * results["ceiling"]["mean"], color="grey", linewidth=0.8)
        axis.set_xlabel(title)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("accuracy on clean test records, %")
    axes[1].legend(fontsize=7, loc="lower right")
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure)
