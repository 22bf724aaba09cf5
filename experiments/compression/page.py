"""The table as figures, as Markdown, and its plot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from experiments.compression.published import published
from experiments.compression.setup import slug
from sfumato.compression import Count
from sfumato.obfuscation.figures import figure

Rows = list[dict[str, Any]]


def collect(
    config: dict[str, Any], done: dict[tuple[str, int], dict[str, Any]], size: Count
) -> Rows:
    """A row for each setting, method and budget, over the seeds that are there."""
    rows: Rows = []
    for setting in dict.fromkeys(setting for setting, _ in done):
        tables = {seed: table for (name, seed), table in done.items() if name == setting}
        for kind in ("plain", "stochastic"):
            cells = [tables[seed][f"{setting}/unpruned-{kind}/seed-{seed}"] for seed in tables]
            whole = {
                "budget": "",
                "multiplications": size.multiplications,
                "parameters": size.parameters,
                "activations": size.activations,
                "widths": [],
            }
            rows.append(_row(setting, f"unpruned, {kind}", [whole | cell for cell in cells], size))
        for method in [*config["methods"], *config.get("scratch", [])]:
            name = f"{setting}/{slug(method['name'])}"
            cells = [row for seed in tables for row in tables[seed][f"{name}/seed-{seed}"]]
            for budget in dict.fromkeys(cell["budget"] for cell in cells):
                own = [cell for cell in cells if cell["budget"] == budget]
                rows.append(_row(setting, method["name"], own, size))
    return rows


def _row(setting: str, method: str, cells: Rows, size: Count) -> dict[str, Any]:
    extra = {
        name: figure(cell[name] for cell in cells)
        for name in ("epochs", "silent", "before")
        if all(name in cell for cell in cells)
    }
    return {
        "setting": setting,
        "method": method,
        "budget": cells[0]["budget"],
        "size": figure(100 * cell["parameters"] / size.parameters for cell in cells),
        "mflop": figure(cell["multiplications"] / 1e6 for cell in cells),
        "memory": figure(100 * cell["activations"] / size.activations for cell in cells),
        "error": figure(100 * cell["error"] for cell in cells),
        "validation": figure(100 * cell["validation"] for cell in cells),
        "widths": [cell["widths"] for cell in cells],
        **extra,
    }


def render(results: dict[str, Any]) -> str:
    """The table: means, and of the errors the standard deviation over the seeds."""
    data, whole, config = results["data"], results["unpruned"], results["config"]
    lines = [
        f"# {config['title']}",
        "",
        f"{data['name']}: {data['train']} training, {data['validation']} validation and "
        f"{data['test']} test records. Unpruned: {whole['parameters']} parameters, "
        f"{whole['multiplications'] / 1e6:.3f} million multiplications, {whole['activations']} "
        f"stored values. Seeds {results['seeds']}; mean, of errors ± standard deviation, percent. "
        "A multiplication is one FLOP. All choices were made by validation records; the error is "
        "that on test records.",
    ]
    if config.get("notes"):
        lines += ["", config["notes"].strip()]
    head = ["method", "budget", "model size %", "MFLOP", "memory %", "error %", "validation %"]
    for setting in dict.fromkeys(row["setting"] for row in results["rows"]):
        own = [row for row in results["rows"] if row["setting"] == setting]
        lines += ["", f"## {setting.capitalize()}", "", *_table([*head, "epochs", "widths"])]
        lines += [_line(row) for row in own]
    paper = published(config.get("published"))
    if paper:
        lines += ["", "## Published", "", *_table([head[0], *head[2:6]])]
        lines += [_published(row) for row in paper]
    made = results["provenance"]
    machine = f"{made['machine']['processor']}, {made['machine']['cores']} cores"
    return "\n".join(
        [*lines, "", f"torch {made['versions']['torch']}, {machine}, {made['date'][:10]}.", ""]
    )


def _table(head: list[str]) -> list[str]:
    return ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]


def _line(row: dict[str, Any]) -> str:
    seeds = f" ({row['error']['n']} seeds)" if row["budget"] else ""
    widths = ", ".join("-".join(map(str, each)) for each in row["widths"] if each)
    cells = [
        row["method"],
        row["budget"] + seeds,
        f"{row['size']['mean']:.2f}",
        f"{row['mflop']['mean']:.4f}",
        f"{row['memory']['mean']:.2f}",
        f"{row['error']['mean']:.2f} ± {row['error']['std']:.2f}",
        f"{row['validation']['mean']:.2f} ± {row['validation']['std']:.2f}",
        f"{row['epochs']['mean']:.0f}" if "epochs" in row else "",
        widths,
    ]
    return "| " + " | ".join(cells) + " |"


def _published(row: dict[str, Any]) -> str:
    memory = "–" if row["memory"] is None else f"{row['memory']:.2f}"
    numbers = [f"{row['size']:.2f}", f"{row['mflop']:.3f}", memory, f"{row['error']:.1f}"]
    return "| " + " | ".join([row["method"], *numbers]) + " |"


def draw(results: dict[str, Any], path: Path) -> None:
    """Write the fronts of multiplications and error as a picture (SVG)."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "sfumato"  # the same file for the same figures
    from matplotlib import pyplot as plt

    settings = list(dict.fromkeys(row["setting"] for row in results["rows"]))
    figure_, axes = plt.subplots(
        1, len(settings), figsize=(5.5 * len(settings), 4.5), sharey=True, squeeze=False
    )
    for axis, setting in zip(axes[0], settings, strict=True):
        own = [row for row in results["rows"] if row["setting"] == setting]
        for number, method in enumerate(dict.fromkeys(row["method"] for row in own)):
            _curve(axis, [row for row in own if row["method"] == method], number)
        for row in published(results["config"].get("published")):
            axis.plot(row["mflop"], row["error"], "k+", markersize=6)
            axis.annotate(row["method"], (row["mflop"], row["error"]), fontsize=6)
        axis.set_xscale("log")
        axis.set_xlabel("million multiplications")
        axis.set_title(f"{setting} (+: published)", fontsize=9)
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel("test error, %")
    axes[0][-1].legend(fontsize=6)
    figure_.tight_layout()
    figure_.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure_)


def _curve(axis: Any, rows: Rows, number: int) -> None:
    method = rows[0]["method"]
    points = sorted((r["mflop"]["mean"], r["error"]["mean"], r["error"]["std"]) for r in rows)
    x, y, spread = zip(*points, strict=True)
    if method.startswith("unpruned"):
        axis.axhline(y[0], color=f"C{number}", linewidth=0.8, linestyle=":", label=method)
        return
    axis.errorbar(
        x, y, spread, fmt="--o", color=f"C{number % 10}", label=method, markersize=3, linewidth=1
    )
