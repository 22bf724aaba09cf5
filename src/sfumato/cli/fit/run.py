"""Fitting an obfuscator, as `sfumato fit` does it."""

from __future__ import annotations

import copy
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import sfumato as sf
from sfumato.cli.common.folder import RunFolder
from sfumato.cli.common.models import check_fit, made_by
from sfumato.cli.common.progress import Display
from sfumato.cli.common.settings import load_weights, model_factory, open_data
from sfumato.cli.fit.command import FitOptions
from sfumato.data import Records
from sfumato.errors import SettingError
from sfumato.files import prepare_folder
from sfumato.obfuscation import FitSettings, Plan, bottleneck, calibrate, start
from sfumato.obfuscation.figures import figure
from sfumato.obfuscation.pictures import save_pictures
from sfumato.privacy import Certificate, certify, measure_leak
from sfumato.train import Recipe, derive, train_classifier


def fit_obfuscator(options: FitOptions, folder: RunFolder) -> list[str]:
    """Train the model if need be, fit the obfuscator, attack it, and write the report.

    Returns:
        The lines to print at the end.
    """
    out = folder.path
    train, test = open_data(options.data, options.limit)
    obfuscator = _start(options, train)
    with Display(out) as display:
        model = _trained(options, obfuscator, train, out, display)
        history = _fit(options, obfuscator, model, train, out, display)
        saved = sf.Obfuscator.load(out / "obfuscator", unaudited_ok=True)
        certificate = _certificate(options, saved, train)
        leak = _leak(options, saved, train, test, out, display)
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
            "certificate": asdict(certificate),
        }
    )
    return [
        f"leak: {leak:.3f}",
        certificate.words,
        f"obfuscator: {out / 'obfuscator'}",
        f"report: {report}",
    ]


def _start(options: FitOptions, train: Records) -> sf.Obfuscator:
    """What the fit starts from.

    Raises:
        SettingError: options that do not go together, or a target that the kind cannot reach.
    """
    sigma = Plan().sigma if options.sigma is None else options.sigma
    _check_kind(options)
    if options.kind == "bottleneck":
        made = bottleneck(
            train.shape,
            options.features,
            sigma,
            clip=options.clip,
            num_classes=len(train.classes),
            records=train.inputs,
        )
    else:
        made = start(options.kind, train.shape, len(train.classes), sigma, bound=options.bound)
    if options.target_epsilon is not None:  # told before a model is trained
        trial = copy.deepcopy(made)
        calibrate(trial, options.target_epsilon, options.delta, releases=options.releases)
    return made


def _check_kind(options: FitOptions) -> None:
    defaults = {one.name: one.default for one in fields(options)}
    narrow = options.kind == "bottleneck"
    for name in ("bound",) if narrow else ("features", "clip"):
        if getattr(options, name) != defaults[name]:
            hint = "--clip bounds it" if narrow else "it belongs to --kind bottleneck"
            raise SettingError(f"--{name} cannot be used with --kind {options.kind}: {hint}")


@torch.no_grad()
def _clean(obfuscator: sf.Obfuscator, train: Records) -> Tensor:
    """What the model sees of records where there is no noise: they, or their features."""
    return obfuscator.pre(train.inputs)


def _trained(
    options: FitOptions, obfuscator: sf.Obfuscator, train: Records, out: Path, display: Display
) -> nn.Module:
    """The model to fit against: with the given weights, or trained now."""
    inputs = _clean(obfuscator, train)
    shape, classes = inputs.shape[1:], len(train.classes)
    factory = model_factory(options.model)
    model = made_by(options.model, factory, shape, classes, options.seed, "model")
    check_fit(options.model, model, inputs, classes)
    if options.weights is not None:
        load_weights(model, options.weights)
        return model
    train_classifier(
        model,
        inputs,
        train.labels,
        Recipe(),
        seed=derive(options.seed, "model"),
        checkpoint=prepare_folder(out / "state") / "model.checkpoint",
        progress=display.named("model", "training"),
    )
    return model


def _fit(
    options: FitOptions,
    obfuscator: sf.Obfuscator,
    model: nn.Module,
    train: Records,
    out: Path,
    display: Display,
) -> list[dict[str, Any]]:
    plan, settings = Plan(), FitSettings()
    if options.epochs is not None:
        kernels = replace(settings.kernels, epochs=options.epochs, min_steps=0)
        settings = replace(settings, kernels=kernels)
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
        target_epsilon=options.target_epsilon,
        delta=options.delta,
        releases=options.releases,
        seed=options.seed,
        checkpoint=state / "fit.checkpoint",
        progress=display.named("obfuscator", "fitting"),
    )
    obfuscator.save(out / "obfuscator")
    return history


def _certificate(options: FitOptions, obfuscator: sf.Obfuscator, train: Records) -> Certificate:
    with torch.no_grad():
        law = obfuscator.distribution(train.inputs[:1], train.labels[:1])
    shape = tuple(law.mean.shape[1:])
    return certify(obfuscator, delta=options.delta, releases=options.releases, shape=shape)


def _leak(
    options: FitOptions,
    obfuscator: sf.Obfuscator,
    train: Records,
    test: Records,
    out: Path,
    display: Display,
) -> float:
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
