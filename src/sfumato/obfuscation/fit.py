"""The two-step training of an obfuscator (spec 3 §3.1)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from torch import nn

from sfumato.data.records import Records, check_batch
from sfumato.errors import DataError, SettingError
from sfumato.obfuscation.first_selection import first_selection
from sfumato.obfuscation.fit_loop import FitLoop
from sfumato.obfuscation.fit_settings import FitSettings
from sfumato.obfuscation.freezing import fixed, frozen, separable
from sfumato.obfuscation.obfuscator import Obfuscator
from sfumato.obfuscation.objective import ObjectiveName, OfEmission, Weighed
from sfumato.obfuscation.pooling import groups_of, tied
from sfumato.objectives import Objective
from sfumato.train import Progress, silent
from sfumato.train.seed import derive


def fit(
    obfuscator: Obfuscator,
    model: nn.Module,
    data: Any,
    objective: ObjectiveName | OfEmission | Objective = "information",
    knob: float = 0.03,
    *,
    settings: FitSettings | None = None,
    labels_known: bool = False,
    target_epsilon: float | None = None,
    delta: float = 1e-5,
    releases: int = 1,
    seed: int = 0,
    checkpoint: Path | None = None,
    progress: Progress = silent,
) -> list[dict[str, Any]]:
    """Fit an obfuscator in place against a frozen model.

    Step 1 (spec 3 §3.1.1): the kernels, each record under the hard selection of its label, on
    cross-entropy + knob × objective. Step 2 (§3.1.2): the soft selection for records without a
    label, kernels frozen or joint; skipped when labels are known.

    Args:
        obfuscator: gets trained kernels and, if it has none, a `SoftSelection`.
        model: classifies releases; its weights stay as they are.
        data: `Records`, or any dataset of (record, label).
        objective: what the knob weighs: `"information"`, `"full_information"` (with the full
            covariance), `"max_entropy"`, `"wiener"` (the leak under the best linear decoder, in
            closed form), `"adversary"` (under decoders that learn beside the obfuscator); a
            function of what the layers emitted (a `Recording`) and the labels that gives a scalar;
            or an `sf.objectives.Objective`, which sees records and releases too.
        knob: the weight of the objective: larger hides more and costs accuracy.
        settings: how long, how fast, which selection.
        labels_known: labels will be known when records are served: skip step 2.
        target_epsilon: choose the scale so that `releases` releases of a record under its label are
            (ε, `delta`) locally differentially private with this ε. The scale is then fixed, and
            the location alone is learned.
        delta: δ of the target.
        releases: how many releases of each record the target is for.
        seed: of orders and noise.
        checkpoint: a file that holds the state after every epoch of a step, that of a learning
            objective included; the fit resumes, and ends as one that was not interrupted.
        progress: called after every epoch.

    Returns:
        One entry per epoch, those before an interruption included: step, epoch, task
        (cross-entropy), objective, accuracy on releases.

    Raises:
        DataError: the data cannot be used, or does not fit the obfuscator or its selection.
        SettingError: an unknown objective, a negative knob, classes that cannot be pooled, or a
            target that cannot be certified for this layer.
    """
    settings = settings or FitSettings()
    if knob < 0:
        raise SettingError(f"the knob must be 0 or more, not {knob}")
    records = _records(data, obfuscator)
    weighed = Weighed.of(objective, settings.margin)
    target = None if target_epsilon is None else _Target(target_epsilon, delta, releases)
    rehearsed = obfuscator.rehearsal()  # a fit is no release: it draws under its seed
    loop = FitLoop(
        rehearsed,
        model,
        records,
        weighed,
        knob,
        settings.label_penalty,
        seed,
        derive(weighed.tag, knob, settings, *(() if target is None else (target,))),
        progress,
    )
    with _held(rehearsed, model, settings, records, target):
        try:
            return _steps(loop, settings, labels_known, checkpoint)
        finally:
            obfuscator.selection = rehearsed.selection


def _records(data: Any, obfuscator: Obfuscator) -> Records:
    from sfumato.data import gather

    records = data if isinstance(data, Records) else gather(data)
    check_batch(records.inputs, records.labels, records.num_classes, records.name)
    classes = obfuscator.num_classes
    if classes is not None and records.num_classes > classes:
        raise DataError(f"the data has {records.num_classes} classes, the obfuscator {classes}")
    return records


def _steps(
    loop: FitLoop, settings: FitSettings, labels_known: bool, checkpoint: Path | None
) -> list[dict[str, Any]]:
    obfuscator = loop.obfuscator
    alone = labels_known or obfuscator.num_classes is None
    selection = None if alone else first_selection(obfuscator, loop.records, settings, loop.seed)
    kernels = [*obfuscator.layer.parameters(), *obfuscator.pre.parameters()]
    history = loop.run(1, kernels, settings.kernels, checkpoint)
    if selection is None:
        return history
    obfuscator.selection = selection
    trained = list(selection.parameters())
    if settings.joint:
        return history + loop.run(2, trained + kernels, settings.selection, checkpoint)
    with frozen(obfuscator.layer, obfuscator.pre):
        return history + loop.run(2, trained, settings.selection, checkpoint)


@final
@dataclass(frozen=True)
class _Target:
    """The privacy that is asked for."""

    epsilon: float
    delta: float
    releases: int

    def calibrate(self, obfuscator: Obfuscator) -> None:
        """Set the scale, or raise with what stands in the way of a certificate."""
        from sfumato.obfuscation.calibration import calibrate

        calibrate(obfuscator, self.epsilon, self.delta, releases=self.releases)


@contextmanager
def _held(
    obfuscator: Obfuscator,
    model: nn.Module,
    settings: FitSettings,
    records: Records,
    target: _Target | None,
) -> Iterator[None]:
    """What stays as it is while the rest is fitted."""
    layer = obfuscator.layer
    with ExitStack() as stack:
        stack.enter_context(frozen(model))
        if obfuscator.num_classes is not None:
            stack.enter_context(tied(layer, groups_of(settings.pool, records)))
        if settings.location == "identity":
            stack.enter_context(fixed(obfuscator, "location"))
        if target is not None:
            target.calibrate(obfuscator)  # before any time is spent on what cannot be certified
            if separable(layer):
                stack.enter_context(fixed(obfuscator, "scale"))
        yield
    if target is not None:
        target.calibrate(obfuscator)  # a location that learned may have another diameter
