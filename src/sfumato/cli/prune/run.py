"""Pruning a network, as `sfumato prune` does it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

from torch import nn

from sfumato.cli.common.bounds import BoundPassed
from sfumato.cli.common.folder import RunFolder
from sfumato.cli.common.progress import Display
from sfumato.cli.prune.choices import budget_of, check_numbers, factory_of, importance_of
from sfumato.cli.prune.command import PruneOptions
from sfumato.cli.prune.speed import speed_of
from sfumato.cli.prune.training import Data, Trainer, from_scratch, open_parts
from sfumato.compression import Pruned, count, prune
from sfumato.compression.kernels import kernel_of
from sfumato.compression.store import export_onnx, export_program, save_network
from sfumato.errors import OutputError, SfumatoError
from sfumato.files import prepare_folder, write_json
from sfumato.report.prune.page import PAPER_SETTING, SCHEMA, validate_prune, write_prune
from sfumato.report.prune.words import verdict
from sfumato.train import provenance


@final
@dataclass(frozen=True)
class _Found:
    """What one run has found so far."""

    plain: nn.Module
    before: dict[str, Any]
    pruned: Pruned
    small: nn.Module
    scratch: dict[str, Any] | None
    met: bool


def prune_network(options: PruneOptions, folder: RunFolder) -> list[str]:
    """Train, prune, store, compare, and write the report.

    Returns:
        The lines to print at the end.

    Raises:
        BoundPassed: the budget is not met within the error that was allowed.
    """
    out = folder.path
    check_numbers(options)  # wrong settings are told before the work
    importance, factory = importance_of(options), factory_of(options.model)
    data = open_parts(options)
    trainer = Trainer(options, data, prepare_folder(out / "state"))
    with Display(out) as display:
        plain = trainer.plain(factory, display.named("network", "training"))
        before = _figures(plain, data)
        budget = budget_of(options, before)
        model = trainer.noisy(plain, display.named("network", "max-entropy"))
        pruned = prune(
            model,
            data.train,
            data.validation,
            budget,
            importance=importance,
            loss=trainer.loss,
            steps=options.steps,
            recipe=trainer.tuning,
            at_once=options.at_once,
            patience=options.patience,
            keep=options.keep,
            folder=out / "pruning",
            seed=options.seed,
            progress=lambda event: display(_event(event, before)),
        )
        small = trainer.finished(pruned.model, display.named("network", "finishing"))
        fresh = trainer.fresh(factory) if options.scratch else None
        scratch = (
            None if fresh is None else _scratch(options, trainer, fresh, pruned, data, display)
        )
    error = data.error(small, "validation")
    met = pruned.met and (budget.error is None or error <= budget.error)
    found = _Found(plain, before, pruned, small, scratch, met)
    results = _results(options, data, found, out, folder)
    page = _written(results, out)
    lines = [*results["verdict"], f"network: {out / 'network'}", f"report: {page}"]
    if not met:
        raise BoundPassed(lines, [f"the network does not meet the budget {asdict(budget)}"])
    return lines


def _figures(model: nn.Module, data: Data) -> dict[str, Any]:
    """Costs and errors of a plain network."""
    return {
        **asdict(count(model, data.shape)),
        "validation_error": data.error(model, "validation"),
        "test_error": data.error(model, "test"),
    }


def _event(event: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """A step of pruning in the figures that matter."""
    return {
        "cell": "network",
        "phase": "removing",
        "unit": "step",
        "epoch": event["step"],
        "neurons": sum(event["widths"].values()),
        "multiplications_%": 100 * event["multiplications"] / before["multiplications"],
        "error_%": 100 * event["error"],
    }


def _scratch(
    options: PruneOptions,
    trainer: Trainer,
    fresh: nn.Module,
    pruned: Pruned,
    data: Data,
    display: Display,
) -> dict[str, Any]:
    told = display.named("from scratch", "training the small architecture")
    model, steps = from_scratch(trainer, fresh, pruned, options.seed, told)
    return {
        "steps": steps,
        "validation_error": data.error(model, "validation"),
        "test_error": data.error(model, "test"),
    }


def _results(
    options: PruneOptions, data: Data, found: _Found, out: Path, folder: RunFolder
) -> dict[str, Any]:
    rows = [asdict(row) for row in found.pruned.rows]
    for row in rows:
        row["removed"] = sum(map(len, row["removed"].values()))
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "command": folder.command,
        "data": data.described(options.data),
        "network": {
            "name": options.model or "small_cnn",
            "setting": _setting(options, data),
            "layers": _layers(found.plain, found.small),
        },
        "before": found.before,
        "after": {**_figures(found.small, data), "step": found.pruned.step},
        "scratch": found.scratch,
        "met": found.met,
        "steps": rows,
        "front": [row.step for row in found.pruned.front],
        "speed": speed_of(found.plain, found.small, data),
        "files": _stored(options, found, data, out),
        "load": _load_lines(options, data, out),
        "config": folder.settings,
        "provenance": provenance(),
    }
    return {**content, "verdict": verdict(content)}


def _setting(options: PruneOptions, data: Data) -> str | None:
    """Which of the paper's settings this is, whose points then belong into the figure."""
    name = options.data.lower()
    digits = "mnist" in name and "fashion" not in name and data.shape == (1, 28, 28)
    return PAPER_SETTING if options.model == "lenet5" and digits and data.classes == 10 else None


def _layers(before: nn.Module, after: nn.Module) -> list[dict[str, Any]]:
    """The layers with a kernel, before and after."""
    small = dict(after.named_modules())
    layers: list[dict[str, Any]] = []
    for name, module in before.named_modules():
        weight, other = (getattr(part, "weight", None) for part in (module, small[name]))
        if (
            isinstance(weight, nn.Parameter)
            and isinstance(other, nn.Parameter)
            and weight.dim() > 1
        ):
            layers.append(
                {
                    "name": name,
                    "type": type(module).__name__,
                    "kernel": list(weight.shape[2:]),
                    "before": _sizes(module, weight),
                    "after": _sizes(small[name], other),
                }
            )
    return layers


def _sizes(module: nn.Module, weight: nn.Parameter) -> list[int]:
    """Inputs and outputs of a layer."""
    kernel = kernel_of(module)
    return [weight.shape[1], weight.shape[0]] if kernel is None else [kernel.inputs, kernel.outputs]


def _stored(options: PruneOptions, found: _Found, data: Data, out: Path) -> dict[str, str | None]:
    """Write the network in every form; None for one that cannot be had here."""
    about = {"data": options.data, "seed": options.seed, "step": found.pruned.step}
    save_network(
        found.small, out / "network", like=found.plain, input_shape=data.shape, provenance=about
    )
    files: dict[str, str | None] = {"network": "network"}
    for key, name, write in (
        ("onnx", "network.onnx", export_onnx),
        ("program", "network.pt2", export_program),
    ):
        try:
            files[key] = write(found.small, data.shape, out / name).name
        except OutputError:
            raise
        except SfumatoError:  # a package is not there, or a network that no exporter can follow
            files[key] = None
    return files


def _load_lines(options: PruneOptions, data: Data, out: Path) -> list[str]:
    name = options.model or "small_cnn"
    module, _, attribute = name.rpartition(":")
    shape = ", ".join(map(str, data.shape)) + ("," if len(data.shape) == 1 else "")
    factory = attribute or name
    return [
        f"from {module or 'sfumato.train'} import {factory}",
        "from sfumato.compression.store import load_network",
        f'model = load_network({factory}(({shape}), {data.classes}), "{out / "network"}")',
    ]


def _written(results: dict[str, Any], out: Path) -> Path:
    validate_prune(results)
    write_json(out / "results.json", results)
    return write_prune(out)
