"""Training and attacking a defence, as `sfumato defend` does it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

from safetensors.torch import save_model
from torch import nn

from sfumato.cli.common.folder import RunFolder
from sfumato.cli.common.models import check_model, new_model
from sfumato.cli.common.progress import Display
from sfumato.cli.common.settings import load_weights, open_data
from sfumato.cli.defend.command import DefendOptions
from sfumato.cli.defend.examples import save_examples
from sfumato.data import Records, take
from sfumato.errors import SettingError
from sfumato.files import atomic, prepare_folder, write_json
from sfumato.report.defend.page import DEFEND_SCHEMA, validate_defend, write_defend
from sfumato.report.defend.words import verdict
from sfumato.robustness import Certificates, RobustnessReport, Smoothed, evaluate
from sfumato.robustness.attacks.base import check_records
from sfumato.robustness.defences import Adversarial, Defence, defence, plain
from sfumato.train import Recipe, derive, provenance, seeded, train_classifier

BOUNDS = (0.0, 1.0)
CERTIFIED = 100
"""Records that --defence smoothing certifies where nothing else is said."""


@final
@dataclass(frozen=True)
class Run:
    """What the steps of a run share."""

    options: DefendOptions
    folder: RunFolder
    display: Display
    train: Records
    test: Records

    @property
    def attacked(self) -> Records:
        """The test records that are attacked."""
        return take(self.test, self.options.records)


def defend(options: DefendOptions, folder: RunFolder) -> list[str]:
    """Train or load, attack, certify, and write the report.

    Returns:
        The lines to print at the end.

    Raises:
        SettingError: options that do not go together.
        DataError: records that are not in [0, 1].
    """
    _check(options)
    train, test = open_data(options.data, options.limit)
    for records in (train, test):  # before the work: attacks stay inside of these bounds
        check_records(records.inputs, records.labels, BOUNDS)
    check_model(options.model, train)
    made = _made(options, train)  # weights that do not fit are told before the training
    with Display(folder.path) as display:
        run = Run(options, folder, display, train, test)
        undefended = _trained(run, plain(_fresh(options, train)), "undefended")
        if options.weights is None:
            _trained(run, made, "defence")
            with atomic(folder.path / "model.safetensors") as part:
                save_model(made.model, str(part))
        found = _attacked(run, made, "attacks", undefended)
        beside = None if _is_plain(options) else _attacked(run, plain(undefended), "beside", None)
        certificates = _certificates(run, made)
    save_examples(made.model, found, run.attacked, options.epsilon, folder.path)
    content = _content(run, made, found, beside, certificates)
    validate_defend(content)
    write_json(folder.path / "results.json", content)
    return [*content["verdict"], f"report: {write_defend(folder.path)}"]


def _check(options: DefendOptions) -> None:
    if options.records < 1:
        raise SettingError(f"--records must be at least 1, not {options.records}")
    if options.certify is not None and options.certify < 0:
        raise SettingError(f"--certify must be at least 0, not {options.certify}")
    if options.epochs is not None and options.epochs < 1:
        raise SettingError(f"--epochs must be at least 1, not {options.epochs}")
    if options.certificate_draws < 1:
        raise SettingError(
            f"--certificate_draws must be at least 1, not {options.certificate_draws}"
        )
    if not 0 < options.alpha < 1:
        raise SettingError(f"--alpha must lie inside (0, 1), not {options.alpha}")
    named = [("epsilon", options.epsilon), *(("epsilons", one) for one in options.epsilons)]
    for name, radius in named:
        if not 0 < radius < math.inf:
            raise SettingError(f"--{name} must be above 0 and finite, not {radius}")
        if options.norm == "linf" and radius > 1:
            raise SettingError(
                f"--{name} {radius:g} holds every record, whose values lie in [0, 1]: give it in "
                f"their units, for example {radius / 255:.4g} for {radius:g}/255"
            )
    Adversarial(options.epsilon, steps=options.steps, norm=options.norm)
    Smoothed(nn.Identity(), options.sigma)


def _is_plain(options: DefendOptions) -> bool:
    return options.defence == "plain" and options.weights is None


def _fresh(options: DefendOptions, train: Records) -> nn.Module:
    return new_model(options.model, train, options.seed, "model")


def _made(options: DefendOptions, train: Records) -> Defence:
    """The defence, untrained or with the given weights."""
    attack = Adversarial(options.epsilon, steps=options.steps, norm=options.norm)
    name = options.defence or ("pgd" if options.weights is None else "plain")
    with seeded(options.seed, "defence"):
        made = defence(
            name, _fresh(options, train), attack, records=len(train), sigma=options.sigma
        )
    if options.weights is not None:
        load_weights(made.model, options.weights)
    return made


def _trained(run: Run, made: Defence, cell: str) -> nn.Module:
    options = run.options
    recipe = Recipe(epochs=10, min_steps=700, batch_size=64, lr=2e-3)
    if options.epochs is not None:
        recipe = Recipe(epochs=options.epochs, min_steps=0, batch_size=64, lr=2e-3)
    train_classifier(
        made.model,
        run.train.inputs,
        run.train.labels,
        recipe,
        seed=derive(options.seed, cell),
        loss=made.loss,
        checkpoint=prepare_folder(run.folder.path / "state") / f"{cell}.checkpoint",
        progress=run.display.named(cell, "training"),
    )
    return made.model.eval()


def _attacked(run: Run, made: Defence, cell: str, undefended: nn.Module | None) -> RobustnessReport:
    """The suite on the defence; a quick one on what stands beside it."""
    options, records = run.options, run.attacked
    return evaluate(
        made.model.eval(),
        records.inputs,
        records.labels,
        epsilon=options.epsilons or tuple(options.epsilon * part for part in (0.5, 1.0, 2.0)),
        norm=options.norm,
        attacks=options.attacks if cell == "attacks" else "quick",
        undefended=undefended,
        prediction="averaged" if isinstance(made.model, Smoothed) else "sampled",
        seed=options.seed,
        folder=run.folder.path / cell,
        progress=lambda event: run.display({"phase": cell, "unit": "attack", **event}),
    )


def _certificates(run: Run, made: Defence) -> list[tuple[str, Certificates]]:
    """Of the defence and, for smoothing, of the published recipe on the same network."""
    options = run.options
    smoothing = isinstance(made.model, Smoothed)
    count = options.certify if options.certify is not None else CERTIFIED * smoothing
    if not count:
        return []
    model = made.model if isinstance(made.model, Smoothed) else Smoothed(made.model, options.sigma)
    rows = [(made.name if smoothing else f"{made.name}, smoothed", model)]
    if smoothing and options.weights is None:
        published = Defence(
            "smoothing, as published", Smoothed(_fresh(options, run.train), options.sigma)
        )
        _trained(run, published, "published")
        rows.append((published.name, published.model))  # type: ignore[arg-type]
    records = take(run.test, count)
    state = prepare_folder(run.folder.path / "state")
    return [
        (
            name,
            one.eval().certify(
                records.inputs,
                records.labels,
                n=options.certificate_draws,
                alpha=options.alpha,
                seed=options.seed,
                path=state / f"certificates-{number}.json",
                progress=run.display.named("certificates", name),
            ),
        )
        for number, (name, one) in enumerate(rows)
    ]


def _content(
    run: Run,
    made: Defence,
    found: RobustnessReport,
    beside: RobustnessReport | None,
    certificates: list[tuple[str, Certificates]],
) -> dict[str, Any]:
    """What `results.json` says."""
    content: dict[str, Any] = {
        "schema": DEFEND_SCHEMA,
        "command": "defend",
        "provenance": provenance(),
        "config": run.folder.settings,
        "data": {
            "name": run.options.data,
            "train": len(run.train),
            "test": len(run.test),
            "shape": list(run.train.shape),
            "classes": list(run.train.classes),
        },
        "defence": made.name if run.options.weights is None else f"{made.name}, weights given",
        "epsilon": run.options.epsilon,
        "robustness": found.to_json(),
        "beside": None if beside is None else beside.to_json(),
        "certificates": [{"name": name, **one.to_json()} for name, one in certificates],
    }
    return {**content, "verdict": verdict(content)}
