"""Suspicion by networks that did not see the record, and cleanlab's verdict on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from sfumato.label_noise.checks import check_labels, check_records
from sfumato.label_noise.confident import label_doubts, label_issues
from sfumato.label_noise.methods.folds import fold_probabilities
from sfumato.label_noise.methods.job import Job, MakeNetwork
from sfumato.label_noise.methods.one_stage import OneStage
from sfumato.label_noise.suspicion.ranked import Suspects, ranked
from sfumato.train import Progress, Recipe, silent


def out_of_fold(
    make: MakeNetwork,
    inputs: Tensor,
    labels: Tensor,
    recipe: Recipe,
    *,
    method: OneStage | None = None,
    folds: int = 4,
    seed: int = 0,
    layers: Sequence[str] | None = None,
    folder: str | Path | None = None,
    progress: Progress = silent,
) -> Tensor:
    """Class probabilities of every record by a network that was trained without it.

    Args:
        make: makes a new plain network.
        inputs: records `[N, ...]`.
        labels: as given, `[N]`.
        recipe: of each of the trainings.
        method: how each training is done; plainly where None.
        folds: parts of the records, at least 2; so many trainings.
        seed: of the folds, the weights and the order of records.
        layers: the hidden layers that the method changes.
        folder: keeps checkpoints, from which the same call goes on.
        progress: called after every epoch with stage, epoch, epochs and loss.

    Returns:
        Probabilities `[N, C]` on the mean path.

    Raises:
        DataError: labels or records that cannot be used.
        SettingError: a number of folds that is not possible.
        StoreError: the folder holds another training.
    """
    check_labels(labels)
    check_records(inputs, labels)
    base = OneStage() if method is None else method
    place = None if folder is None else Path(folder)
    given = labels.to(inputs.device).long()
    job = Job(make, inputs, given, recipe, seed, layers, place, progress)
    job.claim([base, folds])
    return fold_probabilities(job, base, folds)


def suspects_out_of_fold(chances: Tensor, labels: Tensor) -> Suspects:
    """Rank labels by confident learning (Northcutt et al. 2021; cleanlab).

    Args:
        chances: probabilities `[N, C]` by networks that did not see the record (`out_of_fold`).
        labels: as given, `[N]`.

    Returns:
        All records by falling 1 - cleanlab's normalised margin. As many are held wrong as
        `cleanlab.filter.find_label_issues` finds.

    Raises:
        DataError: probabilities or labels that cannot be used.
        MissingDependency: cleanlab is not installed.
    """
    held = int(label_issues(chances, labels).sum())
    return ranked("cleanlab", label_doubts(chances, labels), labels, chances.argmax(1), held)
