"""A cell of the table: one method trained with one seed, and all that is measured of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from safetensors.torch import load_model, save_model
from torch import nn

from experiments.robustness.measures import MEASURES
from experiments.robustness.points import UNDEFENDED, Point
from experiments.robustness.setup import Setup
from sfumato.files import atomic, prepare_folder, read_json, write_json
from sfumato.train import accuracy, seeded, train_classifier


def undefended(setup: Setup, seed: int) -> dict[str, Any]:
    """Train the network that transferred examples come from."""
    return {"clean": _clean(network(setup, UNDEFENDED, seed), setup, seed)}


def measured(setup: Setup, point: Point, seed: int) -> dict[str, Any]:
    """Train, and measure all that the configuration asks for.

    What is done lies in the run's folder, so that a cell that was interrupted goes on.
    """
    model = network(setup, point, seed)
    source = network(setup, UNDEFENDED, seed) if "suite" in setup.measures else None
    found: dict[str, Any] = {
        "clean": _clean(model, setup, seed),
        "passes": point.passes(setup),
        **read_json(_path(setup, "networks", point, seed, ".json")),
    }
    for name, settings in setup.measures.items():
        path = _path(setup, "measured", point, seed, f"-{name}.json")
        if not path.exists():
            work = _path(setup, name, point, seed, "")
            with seeded(seed, name):
                result = MEASURES[name](model, setup, source, seed, work, **settings)
            write_json(path, result)
            print(f"{point.name}/seed-{seed}: {name}", flush=True)
        found[name] = read_json(path)
    return found


def network(setup: Setup, point: Point, seed: int) -> nn.Module:
    """The trained network, from the run's folder if it is there; in evaluation."""
    made = point.build(setup, seed)
    path = _path(setup, "networks", point, seed, ".safetensors")
    if not path.exists():
        state = _path(setup, "state", point, seed, ".checkpoint")
        inputs, labels = setup.trained_on()
        losses: list[float] = []

        def progress(event: dict[str, Any]) -> None:
            losses.append(event["loss"])
            told = f"epoch {event['epoch']} of {event['epochs']}, loss {event['loss']:.4f}"
            print(f"{point.name}/seed-{seed}: {told}", flush=True)

        start = time.perf_counter()
        recipe = point.fitted(setup)
        train_classifier(
            made.model, inputs, labels, recipe, seed=seed, loss=made.loss, checkpoint=state,
            progress=progress,
        )  # fmt: skip
        epochs = recipe.epochs_for(len(inputs))
        # a training that was interrupted has only the epochs since
        seconds = (time.perf_counter() - start) * epochs / max(1, len(losses))
        write_json(path.with_suffix(".json"), {"seconds": round(seconds, 1)})
        with atomic(path) as part:
            save_model(made.model, str(part))
        state.unlink(missing_ok=True)
    load_model(made.model, str(path))
    return made.model.eval()


def _clean(model: nn.Module, setup: Setup, seed: int) -> float:
    """The accuracy of one draw on all test records."""
    with seeded(seed, "clean"):
        return accuracy(model, *setup.tested())


def _path(setup: Setup, kind: str, point: Point, seed: int, ending: str) -> Path:
    path = setup.folder / kind / f"{point.name}-seed-{seed}{ending}"
    prepare_folder(path.parent)
    return path
