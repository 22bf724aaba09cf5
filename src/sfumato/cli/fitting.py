"""Fitting an obfuscator, as `sfumato fit` does it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

import sfumato as sf
from sfumato.cli.fit import FitOptions
from sfumato.cli.folder import RunFolder
from sfumato.cli.progress import Display
from sfumato.cli.settings import load_weights, model_factory, open_data
from sfumato.data import Records
from sfumato.files import prepare_folder
from sfumato.obfuscation import FitSettings, Plan, start
from sfumato.obfuscation.figures import figure
from sfumato.obfuscation.pictures import save_pictures
from sfumato.privacy import measure_leak
from sfumato.train import Recipe, derive, seeded, train_classifier


def fit_obfuscator(options: FitOptions, folder: RunFolder) -> list[str]:
    """Train the model if need be, fit the obfuscator, attack it, and write the report.

    Returns:
        The lines to print at the end.
    """
    out = folder.path
    train, test = open_data(options.data, options.limit)
    with Display(out) as display:
        model = _trained(options, train, out, display)
        history = _fit(options, model, train, out, display)
        leak = _leak(options, train, test, out, display)
    report = folder.finish(
        {
            "data": {
                "name": options.data,
                "train": len(train),
                "test": len(test),
                "shape": list(train.shape),
                "classes": list(train.classes),
            },
            "seeds": [options.seed],
            "history": history,
            "leak": figure([leak]),
        }
    )
    return [f"leak: {leak:.3f}", f"obfuscator: {out / 'obfuscator'}", f"report: {report}"]


def _trained(options: FitOptions, train: Records, out: Path, display: Display) -> nn.Module:
    """The model to fit against: with the given weights, or trained now."""
    with seeded(options.seed, "model"):
        model = model_factory(options.model)(train.shape, len(train.classes))
    if options.weights is not None:
        load_weights(model, options.weights)
        return model
    train_classifier(
        model,
        train.inputs,
        train.labels,
        Recipe(),
        seed=derive(options.seed, "model"),
        checkpoint=prepare_folder(out / "state") / "model.checkpoint",
        progress=display.named("model", "training"),
    )
    return model


def _fit(
    options: FitOptions, model: nn.Module, train: Records, out: Path, display: Display
) -> list[dict[str, Any]]:
    plan, settings = Plan(), FitSettings()
    if options.epochs is not None:
        kernels = replace(settings.kernels, epochs=options.epochs, min_steps=0)
        settings = replace(settings, kernels=kernels)
    sigma = plan.sigma if options.sigma is None else options.sigma
    obfuscator = start(options.kind, train.shape, len(train.classes), sigma)
    if options.kind == "scales":
        settings = replace(settings, location="identity")
    state = prepare_folder(out / "state")
    history = sf.fit(
        obfuscator,
        model,
        train,
        options.objective,
        plan.knob if options.knob is None else options.knob,
        settings=settings,
        labels_known=options.labels_known,
        seed=options.seed,
        checkpoint=state / "fit.checkpoint",
        progress=display.named("obfuscator", "fitting"),
    )
    obfuscator.save(out / "obfuscator")
    return history


def _leak(options: FitOptions, train: Records, test: Records, out: Path, display: Display) -> float:
    obfuscator = sf.Obfuscator.load(out / "obfuscator", unaudited_ok=True)  # as it was saved
    known, target = (train.inputs, train.labels), (test.inputs, test.labels)
    leak = measure_leak(
        obfuscator,
        known,
        target,
        len(train.classes),
        seed=options.seed,
        progress=display.named("attacker", "decoder"),
    )
    save_pictures(out / "pictures.safetensors", obfuscator, leak, *target)
    return leak.strongest
