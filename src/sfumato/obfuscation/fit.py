"""The two-step training of an obfuscator (spec 3 §3.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato import objectives
from sfumato.data.records import Records, check_batch
from sfumato.errors import DataError, SettingError
from sfumato.nn import Recording, SoftSelection
from sfumato.nn.kernels import KernelLayer
from sfumato.nn.record import record
from sfumato.obfuscation.obfuscator import Obfuscator
from sfumato.train import Progress, Recipe, generator, seeded, silent
from sfumato.train.checkpoint import load_checkpoint, save_checkpoint
from sfumato.train.seed import derive

Objective: TypeAlias = Callable[[Recording, Tensor], Tensor]
ObjectiveName: TypeAlias = Literal["information", "max_entropy"]


@final
@dataclass(frozen=True)
class FitSettings:
    """How an obfuscator is fitted.

    Args:
        kernels: the recipe of step 1, kernels under the hard selection.
        selection: the recipe of step 2, the soft selection.
        shape: the shape of the soft selection: None for one value for each element of a record
            and class, as the source has it; `()` for one for each class.
        place: the selection on the layer's `"input"` or `"output"`.
        combine: `"sum"` or `"mixture"`.
        joint: in step 2 train the kernels too; else they are frozen.
        location: `"learned"`, or `"identity"` to keep the location as it is and learn the noise.
        margin: b of the max-entropy objective, in nats.
        label_penalty: the weight of `sf.objectives.label_leak` in step 1: noise that shows its
            label invites a model to read the noise instead of the picture.
    """

    kernels: Recipe = field(default_factory=lambda: Recipe(epochs=3, min_steps=200, lr=1e-2))
    selection: Recipe = field(default_factory=lambda: Recipe(epochs=1, min_steps=100, lr=5e-2))
    shape: tuple[int, ...] | None = None
    place: Literal["input", "output"] = "input"
    combine: Literal["sum", "mixture"] = "sum"
    joint: bool = False
    location: Literal["learned", "identity"] = "learned"
    margin: float = 0.0
    label_penalty: float = 1.0

    def __post_init__(self) -> None:
        if self.location not in ("learned", "identity"):
            raise SettingError(f"location must be 'learned' or 'identity', not {self.location!r}")


def fit(
    obfuscator: Obfuscator,
    model: nn.Module,
    data: Any,
    objective: ObjectiveName | Objective = "information",
    knob: float = 0.03,
    *,
    settings: FitSettings | None = None,
    labels_known: bool = False,
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
        objective: what the knob weighs: `"information"`, `"max_entropy"`, or a function of what
            the layers emitted (a `Recording`) and the labels that gives a scalar.
        knob: the weight of the objective: larger hides more and costs accuracy.
        settings: how long, how fast, which selection.
        labels_known: labels will be known when records are served: skip step 2.
        seed: of orders and noise.
        checkpoint: a file that holds the state after every epoch of a step; the fit resumes.
        progress: called after every epoch.

    Returns:
        One entry per epoch, those before an interruption included: step, epoch, task
        (cross-entropy), objective, accuracy on releases.

    Raises:
        DataError: the data cannot be used.
        SettingError: an unknown objective or a negative knob.
    """
    from sfumato.data import gather

    settings = settings or FitSettings()
    if knob < 0:
        raise SettingError(f"the knob must be 0 or more, not {knob}")
    records = data if isinstance(data, Records) else gather(data)
    check_batch(records.inputs, records.labels, records.num_classes, records.name)
    classes = obfuscator.num_classes
    if classes is not None and records.num_classes > classes:
        raise DataError(f"the data has {records.num_classes} classes, the obfuscator {classes}")
    job = _Job(
        obfuscator,
        model,
        records,
        _objective(objective, settings),
        knob,
        settings,
        seed,
        derive(objective if isinstance(objective, str) else _named(objective), knob, settings),
        progress,
    )
    kernels = [*obfuscator.layer.parameters(), *obfuscator.pre.parameters()]
    with _frozen(model), _fixed_location(obfuscator, settings.location == "identity"):
        history = job.run(1, kernels, settings.kernels, checkpoint)
        if labels_known or classes is None:
            return history
        if obfuscator.selection is None:
            obfuscator.selection = _selection(settings, classes, records.shape)
        trained = list(obfuscator.selection.parameters())
        if settings.joint:
            return history + job.run(2, trained + kernels, settings.selection, checkpoint)
        with _frozen(obfuscator.layer), _frozen(obfuscator.pre):
            return history + job.run(2, trained, settings.selection, checkpoint)


@dataclass(frozen=True)
class _Job:
    """What both steps share."""

    obfuscator: Obfuscator
    model: nn.Module
    records: Records
    objective: Objective
    knob: float
    settings: FitSettings
    seed: int
    purpose: int
    progress: Progress

    def run(
        self, step: int, trained: list[nn.Parameter], recipe: Recipe, checkpoint: Path | None
    ) -> list[dict[str, Any]]:
        """Train `trained`, which no other parameter may disturb, and return the history."""
        optimizer = torch.optim.Adam(trained, lr=recipe.lr)
        epochs = recipe.epochs_for(len(self.records))
        path = checkpoint and checkpoint.with_suffix(f".step{step}{checkpoint.suffix}")
        tag = f"{derive(step, self.purpose, self.seed, len(self.records)):x}"
        done, history = load_checkpoint(path, self.obfuscator, optimizer, tag)
        for epoch in range(done, epochs):
            with seeded(self.seed, "fit", step, epoch):
                figures = self._epoch(step, optimizer, recipe, epoch, epochs)
            history.append({"step": step, "epoch": epoch + 1, **figures})
            if path is not None:
                save_checkpoint(path, epoch + 1, self.obfuscator, optimizer, tag, history)
            self.progress({"step": step, "epoch": epoch + 1, "epochs": epochs, **figures})
        return history

    def _epoch(
        self, step: int, optimizer: torch.optim.Optimizer, recipe: Recipe, epoch: int, epochs: int
    ) -> dict[str, float]:
        order = torch.randperm(len(self.records), generator=generator(self.seed, step, epoch))
        batches = order.split(recipe.batch_size)
        sums = torch.zeros(3)
        for number, batch in enumerate(batches):
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate(epoch * len(batches) + number, epochs * len(batches))
            loss, figures = self._loss(step, batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            sums += len(batch) * figures
        means = (sums / len(order)).tolist()
        if not all(abs(value) < float("inf") for value in means):
            raise DataError(f"the fit diverged in epoch {epoch + 1}: lower the learning rate")
        return dict(zip(("task", "objective", "accuracy"), means, strict=True))

    def _loss(self, step: int, batch: Tensor) -> tuple[Tensor, Tensor]:
        """The loss, and beside it task, objective and accuracy without a gradient."""
        x, labels = self.records.inputs[batch], self.records.labels[batch]
        with record(self.obfuscator) as emitted:
            release = self.obfuscator.obfuscate(x, labels if step == 1 else None)
        logits = self.model(release)
        right = (logits.detach().argmax(1) == labels).float().mean()
        task, objective = F.cross_entropy(logits, labels), self.objective(emitted, labels)
        loss, penalty = task + self.knob * objective, self.settings.label_penalty
        if step == 1 and penalty > 0 and self.obfuscator.num_classes is not None:
            loss = loss + penalty * self._label_leak(x, labels)
        return loss, torch.stack([task.detach(), objective.detach(), right])

    def _label_leak(self, x: Tensor, labels: Tensor) -> Tensor:
        classes = self.records.num_classes
        other = (labels + torch.randint_like(labels, 1, max(2, classes))) % classes
        laws = (self.obfuscator.distribution(x, c) for c in (labels, other))
        return objectives.label_leak(*laws)


def _objective(objective: ObjectiveName | Objective, settings: FitSettings) -> Objective:
    if callable(objective):
        return objective
    if objective == "max_entropy":
        return partial(_max_entropy, settings.margin)
    if objective == "information":
        return _information
    raise SettingError(f"unknown objective {objective!r}: use 'information' or 'max_entropy'")


def _named(objective: Objective) -> str:
    return getattr(objective, "__qualname__", type(objective).__qualname__)


def _max_entropy(margin: float, emitted: Recording, _: Tensor) -> Tensor:
    return objectives.max_entropy(emitted.log_scales, margin, over="element")


def _information(emitted: Recording, labels: Tensor) -> Tensor:
    laws = emitted.distributions.values()
    return torch.stack([objectives.information(law, labels) for law in laws]).sum()


def _selection(settings: FitSettings, classes: int, shape: tuple[int, ...]) -> SoftSelection:
    chosen = tuple(shape) if settings.shape is None else settings.shape
    return SoftSelection(classes, chosen, settings.place, settings.combine)


@contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
    """No gradients for the model's weights, and evaluation mode; both restored afterwards."""
    required = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    training = [(module, module.training) for module in model.modules()]
    model.requires_grad_(False).eval()
    try:
        yield
    finally:
        for module, mode in training:
            module.training = mode
        for parameter, before in required:
            parameter.requires_grad_(before)


@contextmanager
def _fixed_location(obfuscator: Obfuscator, fixed: bool) -> Iterator[None]:
    """Without gradient, Adam leaves the location's block of the fused kernel where it is."""
    if not fixed:
        yield
        return
    layer = obfuscator.layer
    hook = partial(_without_location, layer)
    handles = [parameter.register_hook(hook) for parameter in layer.parameters()]
    try:
        with _frozen(obfuscator.pre):  # what comes before the kernel moves the location too
            yield
    finally:
        for handle in handles:
            handle.remove()


def _without_location(layer: nn.Module, gradient: Tensor) -> Tensor:
    gradient = gradient.clone()
    axis = 0 if getattr(layer, "num_classes", None) is None else 1
    width = layer.operator.outputs if isinstance(layer, KernelLayer) else 1
    gradient.narrow(axis, 0, width).zero_()
    return gradient
