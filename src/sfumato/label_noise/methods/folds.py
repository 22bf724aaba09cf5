"""Probabilities by networks that did not see the record."""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato.errors import SettingError
from sfumato.label_noise.methods.job import Job
from sfumato.label_noise.methods.one_stage import OneStage
from sfumato.label_noise.outputs import mean_logits
from sfumato.train import generator


def fold_probabilities(job: Job, base: OneStage, folds: int) -> Tensor:
    """Class probabilities `[N, C]` of each record by the network trained on the other folds.

    Args:
        job: the data and how it is trained on.
        base: how each training is done.
        folds: parts of the records, each with its share of every label.

    Raises:
        SettingError: less than 2 folds, or more than records.
    """
    part = fold_numbers(job.labels, folds, job.seed)
    rows: list[Tensor] = []
    places: list[Tensor] = []
    for number in range(folds):
        inside = (part == number).nonzero().squeeze(1)
        outside = (part != number).nonzero().squeeze(1)
        network = job.network(base.change)
        model = job.train(f"fold-{number + 1}", network, base.loss(base.task), outside)
        rows.append(mean_logits(model, job.inputs[inside]).softmax(1))
        places.append(inside)
    joined = torch.cat(rows)
    return torch.empty_like(joined).index_copy_(0, torch.cat(places).to(joined.device), joined)


def fold_numbers(labels: Tensor, folds: int, seed: int) -> Tensor:
    """The fold `[N]` of each record: records of one label are dealt out in random order."""
    if not 2 <= folds <= len(labels):
        raise SettingError(f"{folds} folds of {len(labels)} records are not possible")
    order = torch.randperm(len(labels), generator=generator(seed, "folds"))
    by_label = order[labels.cpu()[order].argsort(stable=True)]
    part = torch.empty(len(labels), dtype=torch.long)
    part[by_label] = torch.arange(len(labels)) % folds
    return part.to(labels.device)
