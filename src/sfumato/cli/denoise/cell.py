"""One training of `sfumato denoise`: a method, a share of wrong labels, a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import torch
from safetensors.torch import save_file, save_model
from torch import Tensor, nn

from sfumato.cli.common.settings import model_factory
from sfumato.cli.denoise.command import DenoiseOptions
from sfumato.data import Records
from sfumato.errors import SettingError
from sfumato.files import atomic, prepare_folder, write_json
from sfumato.label_noise import (
    METHODS,
    RECIPE,
    InstanceFlips,
    LabelNoise,
    NoisyLabels,
    OneStage,
    PatternedFlips,
    Suspects,
    SymmetricFlips,
    Trained,
    out_of_fold,
    suspects,
    suspects_out_of_fold,
    train_with_noise,
)
from sfumato.label_noise.outputs import log_spread, mean_logits
from sfumato.train import Progress, Recipe

NOISES: dict[str, type[LabelNoise]] = {
    "patterned": PatternedFlips,
    "symmetric": SymmetricFlips,
    "instance": InstanceFlips,
}
KEPT = ("model.safetensors", "suspects.safetensors")
"""What a training leaves behind for the list."""
CURVE = 101
"""So many points of how many wrong labels are found by looking at the first so many."""


@final
@dataclass(frozen=True, eq=False)
class DenoiseJob:
    """What all trainings of a run share.

    Attributes:
        options: of the command.
        train: the records, with the labels of the data.
        test: test records, where there are any.
        out: the run's folder.
    """

    options: DenoiseOptions
    train: Records
    test: Records | None
    out: Path

    @property
    def recipe(self) -> Recipe:
        """Of every training."""
        recipe, options = RECIPE, self.options
        if options.epochs is not None:
            recipe = replace(recipe, epochs=options.epochs, min_steps=0)
        return recipe if options.lr is None else replace(recipe, lr=options.lr)

    def make(self) -> nn.Module:
        """A new network."""
        return model_factory(self.options.model)(self.train.shape, self.train.num_classes)

    def given(self, rate: float | None, seed: int) -> NoisyLabels | None:
        """The labels as given beside the truth; None where the truth is not known."""
        labels, options = self.train.labels, self.options
        if options.labels is not None:
            return NoisyLabels.load(options.labels, labels)
        if rate is None:
            return None
        place = self.out / "noise" / f"p-{rate:g}" / f"seed-{seed}"
        if (place / "noise.json").is_file():
            return NoisyLabels.load(place, labels)
        law = NOISES[options.noise](rate)
        made = law.corrupt(labels, self.train.inputs, seed=seed, classes=self.train.num_classes)
        made.save(place)
        return made


def cell_name(method: str, rate: float | None, seed: int) -> str:
    """How a training is called."""
    return f"{method}/{'given' if rate is None else f'p-{rate:g}'}/seed-{seed}"


def denoise_cell(job: DenoiseJob, method: str, rate: float | None, seed: int) -> dict[str, Any]:
    """Train, rank the labels, keep network and ranking, and return the figures."""
    name = cell_name(method, rate, seed)
    noisy = job.given(rate, seed)
    labels = job.train.labels if noisy is None else noisy.labels
    report = reporter(job.out, name)
    trained = train_with_noise(
        method,
        job.make,
        job.train.inputs,
        labels if noisy is None else noisy,
        recipe=job.recipe,
        seed=seed,
        test=None if job.test is None else (job.test.inputs, job.test.labels),
        folder=job.out / "state" / name,
        progress=report,
    )
    found = _ranked(job, method, trained.model, labels, seed, name, report)
    doubt, by = doubts(trained.model, job.train.inputs)
    _keep(job.out / "networks" / name, trained.model, found, doubt)
    return {
        "method": method,
        "rate": rate,
        "seed": seed,
        "accuracy": trained.accuracy,
        "calibration_error": trained.calibration_error,
        "flagged": found.flagged,
        **_learned(found, labels if noisy is None else noisy.clean),
        "doubt": by,
        **_against_truth(found, trained, doubt, by, noisy),
    }


def reporter(out: Path, name: str) -> Progress:
    """A progress that keeps the latest event in a file, for a display to read."""
    path = prepare_folder(out / "progress") / f"{name.replace('/', '.')}.json"

    def report(event: dict[str, Any]) -> None:
        kept = {key: value for key, value in event.items() if key != "stage"}
        write_json(path, {"cell": name, "phase": event.get("stage", ""), **kept})

    return report


def _ranked(
    job: DenoiseJob,
    method: str,
    model: nn.Module,
    labels: Tensor,
    seed: int,
    name: str,
    report: Progress,
) -> Suspects:
    score = job.options.score
    if score != "cleanlab":
        return suspects(model, job.train.inputs, labels, score)
    used = METHODS.get(method)
    chances = out_of_fold(
        job.make,
        job.train.inputs,
        labels,
        job.recipe,
        method=used if isinstance(used, OneStage) else None,
        seed=seed,
        folder=job.out / "state" / f"{name}-folds",
        progress=report,
    )
    return suspects_out_of_fold(chances, labels)


def doubts(model: nn.Module, inputs: Tensor) -> tuple[Tensor, str]:
    """How uncertain the network is of each record, and what that is measured by.

    The spread of the noise where there are stochastic layers (spec 4, fig. 3c), else the entropy of
    the prediction.
    """
    try:
        return log_spread(model, inputs).cpu(), "spread"
    except SettingError:
        logs = mean_logits(model, inputs).cpu().log_softmax(1)
        return -(logs.exp() * logs).sum(1), "entropy"


def _keep(folder: Path, model: nn.Module, found: Suspects, doubt: Tensor) -> None:
    prepare_folder(folder)
    with atomic(folder / KEPT[0]) as part:
        save_model(model, str(part))
    columns = {name: getattr(found, name) for name in ("records", "given", "guessed", "score")}
    with atomic(folder / KEPT[1]) as part:
        save_file(
            {name: one.contiguous() for name, one in columns.items()} | {"doubt": doubt}, part
        )


def _learned(found: Suspects, believed: Tensor) -> dict[str, float]:
    """How often the network's class is the label, and how often the most common label is.

    Args:
        found: all records with the network's class.
        believed: by record number, the true labels where they are known, else the given ones.
    """
    labels = believed.cpu()[found.records]
    return {
        "agreement": float((found.guessed == labels).double().mean()),
        "chance": float(labels.bincount().max()) / len(labels),
    }


def _against_truth(
    found: Suspects, trained: Trained, doubt: Tensor, by: str, noisy: NoisyLabels | None
) -> dict[str, Any]:
    """What the list is worth, where the truth is known and some labels are wrong."""
    if noisy is None:
        return {"wrong": None, "detection": None, "curve": None, "spread_auc": None}
    detection = spread = None
    if 0 < int(noisy.flipped.sum()) < len(noisy.labels):
        detection = found.detection(noisy.clean).figures()
        if by == "spread":
            order = doubt.argsort(descending=True, stable=True)
            labels = noisy.labels[order]
            spread = Suspects("spread", order, labels, labels, doubt[order].double(), 0)
    return {
        "wrong": noisy.rate,
        "detection": detection,
        "curve": _curve(found.given != noisy.clean[found.records]),
        "spread_auc": None if spread is None else spread.detection(noisy.clean).auc,
        "matrix_error": trained.matrix_error,
    }


def _curve(wrong: Tensor) -> dict[str, Sequence[float]] | None:
    """The share of the wrong labels that the first so many of the list hold."""
    total = int(wrong.sum())
    if not total:
        return None
    looked = torch.linspace(0, len(wrong), min(CURVE, len(wrong) + 1)).round().long()
    hits = torch.cat([torch.zeros(1), wrong.double().cumsum(0)])
    return {"looked": looked.tolist(), "found": (hits[looked] / total).tolist()}
