"""The honest evaluation: a suite of attacks, fresh noise, the worst in front, a verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sfumato.errors import DataError, SettingError, SfumatoError
from sfumato.robustness.attacks import Attack, Norm
from sfumato.robustness.attacks.ball import Ball
from sfumato.robustness.attacks.base import check_classes, check_records
from sfumato.robustness.attacks.modes import attackable
from sfumato.robustness.draws import ExpectedModel
from sfumato.robustness.evaluation.collect import collect
from sfumato.robustness.evaluation.job import Job, head_of
from sfumato.robustness.evaluation.report import Prediction, RobustnessReport
from sfumato.robustness.evaluation.scoring import Scorer, has_mean_path, is_stochastic
from sfumato.robustness.evaluation.store import Store
from sfumato.robustness.evaluation.suite import entries_of, standard_attacks
from sfumato.train.loop import Progress, silent
from sfumato.train.seed import seeded


def evaluate(
    model: nn.Module,
    x: Tensor,
    labels: Tensor,
    *,
    epsilon: float | Sequence[float],
    norm: Norm = "linf",
    attacks: Literal["standard", "quick"] | Sequence[Attack] = "standard",
    undefended: nn.Module | None = None,
    draws: int = 8,
    rescoring: int = 32,
    prediction: Prediction = "sampled",
    averaged: int = 16,
    bounds: tuple[float, float] = (0.0, 1.0),
    max_batch: int = 512,
    seed: int = 0,
    folder: str | Path | None = None,
    progress: Progress = silent,
) -> RobustnessReport:
    """Attack a classifier with a suite of attacks, report the worst, and say if it is masking.

    A stochastic model is attacked in expectation over its draws, in all the ways in which it can be
    used: one sample, an average over `averaged` draws (of the logits), the mean path. Every
    adversarial example is then scored with `rescoring` fresh draws: a single one picks lucky
    survivors. For each record the worst attack counts; it is chosen by these scores, and its
    example scored once more with other noise, so that the choice does not flatter the attack.

    The verdict is "gradient masking" if a transferred or black-box attack does better than every
    first-order one; if one step does better than many; if attacks on the margin do better than
    those on the cross-entropy by 10 points; if a larger ε raises the accuracy; if a radius that
    holds every record leaves more than 1 %; or if the gradient of more than one record in ten is
    exactly zero. Then the first-order figures say nothing of robustness. Each of these must be
    more than chance, and all comparisons together hold a model that hides nothing for masking on
    one set of records in 740 at most (the bound is divided by their number). Where there are signs,
    and none that chance does not explain on so few records, the verdict is "too few records to
    tell".

    Args:
        model: from `[B, ...]` to logits `[B, C]`. It is attacked in evaluation mode and left as
            it was; a `sf.sampling` around the call holds.
        x: records `[N, ...]` inside `bounds`.
        labels: their classes, `[N]`.
        epsilon: the radius, or several.
        norm: "linf" or "l2".
        attacks: "standard", "quick", or attacks of your own, run at every ε; see
            `standard_attacks`.
        undefended: a network for the same records without defence; examples are transferred from
            it.
        draws: of the noise, for every step of an attack of the suite.
        rescoring: fresh draws for every adversarial example; rounded to whole averages.
        prediction: the one that front figure and verdict are about: "sampled", "averaged" or
            "mean".
        averaged: draws of one averaged prediction.
        bounds: what values of a record may be.
        max_batch: at most so many records times draws in a forward.
        seed: of all noise.
        folder: where results and adversarial examples are kept, one file per attack and ε; an
            interrupted evaluation resumes. Nothing is kept when None.
        progress: called after every attack, with "cell", "epoch", "epochs" and "accuracy".

    Returns:
        The report. `report.worst` is the front figure by ε.

    Raises:
        DataError: no records, NaN, values outside the bounds, labels that are no classes.
        SettingError: a setting outside of what it may be, a model that does not give logits, or a
            folder that holds another evaluation.
        StoreError: the folder holds attacks, and not what they are of.
        MissingDependency: the suite needs foolbox, which is not installed.

    Example:
        >>> import torch
        >>> from sfumato.robustness import evaluate
        >>> x = torch.rand(20, 4)
        >>> model = torch.nn.Linear(4, 3)
        >>> report = evaluate(model, x, model(x).argmax(1), epsilon=[0.1, 0.5], attacks="quick")
        >>> report.worst[0.5].mean < report.clean["sampled"].mean
        True
        >>> report.verdict
        'no sign of gradient masking'
    """
    epsilons = _radii(epsilon, norm, bounds)
    _check_settings(draws, rescoring, averaged, max_batch, prediction)
    check_records(x, labels, bounds)
    labels = labels.long()
    classes = _classes(model, x, labels)
    if undefended is not None:
        _logits(undefended, x, "the undefended model")
    with seeded(seed, "probe"):
        stochastic = is_stochastic(model, x)
    has_mean = stochastic and has_mean_path(model)
    front = _front(prediction, stochastic, has_mean)
    shared: dict[str, Any] = {"classes": classes, "bounds": bounds, "max_batch": max_batch}
    suite = partial(_suite, attacks, norm, undefended, **shared)
    entries = entries_of(
        suite(draws=draws if stochastic else 1),
        norm,
        stochastic=stochastic,
        at_mean=suite(draws=1) if has_mean else (),
    )
    scorer = Scorer(rescoring, averaged, max_batch, stochastic, has_mean)
    job = Job(
        model=model,
        x=x.detach(),
        labels=labels,
        norm=norm,
        entries=entries,
        scorer=scorer,
        prediction=front,
        seed=seed,
        bounds=bounds,
        undefended=undefended,
        progress=progress,
        store=Store(None, {}),
    )
    head = head_of(job, epsilons)
    job.store = Store(folder, head)
    return collect(job, epsilons, draws if stochastic else 1, prediction, head)


def _suite(
    attacks: str | Sequence[Attack], norm: Norm, undefended: nn.Module | None, **settings: Any
) -> Sequence[Attack]:
    if not isinstance(attacks, str):
        return attacks
    if attacks not in ("standard", "quick"):
        raise SettingError(f"unknown attacks {attacks!r}: use 'standard', 'quick' or a list")
    return standard_attacks(norm, undefended=undefended, quick=attacks == "quick", **settings)


def _radii(
    epsilon: float | Sequence[float], norm: Norm, bounds: tuple[float, float]
) -> tuple[float, ...]:
    given = [epsilon] if isinstance(epsilon, (int, float)) else list(epsilon)
    if not given:
        raise SettingError("epsilon is empty: give one radius at least")
    for value in given:
        Ball(float(value), norm, bounds)
    return tuple(sorted({float(value) for value in given}))


def _check_settings(
    draws: int, rescoring: int, averaged: int, max_batch: int, prediction: str
) -> None:
    numbers = {"draws": draws, "rescoring": rescoring, "averaged": averaged, "max_batch": max_batch}
    for name, value in numbers.items():
        if value < 1:
            raise SettingError(f"{name} must be at least 1, not {value}")
    if prediction not in ("sampled", "averaged", "mean"):
        raise SettingError(
            f"unknown prediction {prediction!r}: use 'sampled', 'averaged' or 'mean'"
        )


def _front(prediction: Prediction, stochastic: bool, has_mean: bool) -> Prediction:
    if not stochastic:
        return "sampled"  # they are all the same
    if prediction == "mean" and not has_mean:
        raise SettingError(
            "the model has no mean path: its noise is not that of sfumato's layers; use "
            "prediction='averaged'"
        )
    return prediction


@torch.no_grad()
def _classes(model: nn.Module, x: Tensor, labels: Tensor) -> int:
    """The number of classes of the model; its output and the labels are checked on the way."""
    with attackable(model), seeded("classes"):
        expected = ExpectedModel(model, 1)
        logits = _logits(model, x, "the model")
        if not all(map(math.isfinite, logits.flatten().tolist())):
            raise DataError("the model gives NaN or infinity for the first record")
        check_classes(expected, x, labels)
    return logits.shape[1]


@torch.no_grad()
def _logits(model: nn.Module, x: Tensor, name: str) -> Tensor:
    """Of the first two records; a `SettingError` where the model does not take them."""
    few = x[:2]
    try:
        with attackable(model), seeded("fit"):
            return ExpectedModel(model, 1)(few)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        if isinstance(error, SfumatoError):
            raise
        raise SettingError(
            f"{name} does not take the records, {list(few.shape[1:])} each: it fails on a batch "
            f"{list(few.shape)} of {few.dtype} ({error})"
        ) from error
