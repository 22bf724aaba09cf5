"""Releasing few records: those worth it go out under isotropic noise, the others stay at home."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from sfumato.data.records import Records
from sfumato.obfuscation.plan import Job
from sfumato.obfuscation.rounds import (
    checkpoint_file,
    clean_model,
    clean_part,
    go_on,
    release_all,
)
from sfumato.obfuscation.start import isotropic
from sfumato.obfuscation.worth import is_known_well, margins, worth_releasing
from sfumato.train import Recipe, accuracy, generator


def few_round(job: Job, fraction: float, sigma: float, share: float, seed: int) -> dict[str, Any]:
    """A round in which `share` of the rest is released with isotropic noise, without screening.

    The training has as many steps as the others. Beside its accuracy: which of the attacked
    records the same choice would have released.
    """
    inputs, labels = job.records()
    clean, model = clean_part(job, fraction, seed), clean_model(job, fraction, seed)
    away = torch.ones(len(inputs), dtype=torch.bool)
    away[clean] = False
    rest = away.nonzero().flatten()
    names = tuple(str(c) for c in range(job.classes))
    records = Records(inputs[rest], labels[rest], names, "the rest")
    chosen = rest[worth_releasing(model, records, share, seed=seed)]
    out = _as_chosen(job, model, records, share, seed)
    noise = isotropic(job.shape, sigma)
    shown = release_all(noise, inputs[chosen], labels[chosen], seed, fraction, "few", share)
    material = torch.cat([inputs[clean], shown]), torch.cat([labels[clean], labels[chosen]])
    released = torch.arange(len(material[1])) >= len(clean)
    cell = f"few-{share:g}-{sigma:g}/seed-{seed}/learner"
    recipe = _as_many_steps(job.plan.learner, len(inputs), len(released))
    go_on(job, model, material, released, None, cell, (seed, fraction, "few", share), recipe)
    checkpoint_file(job, cell).unlink(missing_ok=True)
    return {"accuracy": accuracy(model, *job.test_records()), "out": out}


def few_leaks(attacked: dict[str, Any], out: Sequence[int]) -> dict[str, float]:
    """The leak of all attacked records, and of those that are released.

    What stays at home counts as recovered to its class mean.

    Args:
        attacked: what `isotropic_leak` found of the same noise.
        out: for every attacked record 1 if it is released, else 0.
    """
    released = torch.tensor(out, dtype=torch.float64)
    label_only = torch.tensor(attacked["label_only"], dtype=torch.float64)
    gained = (label_only - torch.tensor(attacked["missed"], dtype=torch.float64)) * released
    tiny = torch.finfo(torch.float64).tiny
    return {
        "leak": float(gained.sum() / label_only.sum().clamp(min=tiny)),
        "leak_released": float(gained.sum() / (label_only * released).sum().clamp(min=tiny)),
    }


def _as_chosen(
    job: Job, model: torch.nn.Module, records: Records, share: float, seed: int
) -> list[int]:
    """Which of the attacked records the choice would have released, by the same rule."""
    target = job.test_records(job.plan.attacked)
    known = margins(model, records.inputs, records.labels)
    if is_known_well(known):
        least = known.sort().values[max(1, round(share * len(known))) - 1]
        return (margins(model, *target) <= least).int().tolist()
    drawn = torch.rand(len(target[0]), generator=generator(seed, "few", share))
    return (drawn < share).int().tolist()


def _as_many_steps(recipe: Recipe, all_records: int, records: int) -> Recipe:
    """The recipe with as many steps as it has over all records."""
    steps = recipe.epochs_for(all_records) * math.ceil(all_records / recipe.batch_size)
    return replace(recipe, epochs=1, min_steps=max(steps, math.ceil(records / recipe.batch_size)))
