"""What a sceptic asks for first: the same learner on other releases of the same records."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from sfumato.obfuscation.obfuscator import Obfuscator
from sfumato.obfuscation.plan import Job
from sfumato.obfuscation.rounds import (
    attack,
    checkpoint_file,
    clean_model,
    clean_part,
    release_all,
    resume,
)
from sfumato.obfuscation.start import class_mean, isotropic
from sfumato.train import accuracy


def ceiling(job: Job, seed: int) -> dict[str, float]:
    """Full clean training: the records that a round releases are clean too.

    It begins with NN-p of the first round like every other row, so that it has had as many steps.
    """
    values, _ = job.records()
    released = torch.zeros(len(values), dtype=torch.bool)
    return _resumed(job, values, released, job.plan.fractions[0], seed, "ceiling/all clean")


def isotropic_leak(job: Job, sigma: float, seed: int) -> dict[str, Any]:
    """The leak of isotropic noise of scale `sigma`, under the same attackers; each record's too."""
    cell = f"isotropic-leak/sigma-{sigma:g}/seed-{seed}"
    leak = attack(job, [isotropic(job.shape, sigma)], seed, cell=cell)
    return {
        "leak": leak.strongest,
        "leak_linear": leak.linear,
        "leak_decoder": leak.network,
        "decoder_steps": leak.steps,
        "missed": rounded(leak.missed),
        "label_only": rounded(leak.label_only),
    }


def rounded(values: Tensor) -> list[float]:
    """Six digits of each, for a file that people may read."""
    return [float(f"{value:.6g}") for value in values.tolist()]


def isotropic_round(job: Job, fraction: float, sigma: float, seed: int) -> dict[str, float]:
    """A round in which the rest is released with isotropic noise, without screening."""
    return _round(job, isotropic(job.shape, sigma), fraction, seed, f"isotropic-{sigma:g}")


def class_mean_round(job: Job, fraction: float, sigma: float, seed: int) -> dict[str, float]:
    """A round in which the rest is replaced by the clean part's class mean + noise."""
    obfuscator = mean_obfuscator(job, fraction, sigma, seed)
    return _round(job, obfuscator, fraction, seed, "class-mean")


def class_mean_leak(job: Job, fraction: float, sigma: float, seed: int) -> dict[str, float]:
    """The leak of class mean + noise: a control that must come out at 0.

    Linear decoders will do: what does not depend on the record tells nothing of it.
    """
    linear = replace(job.plan.decoder, steps=0)
    obfuscator = mean_obfuscator(job, fraction, sigma, seed)
    cell = f"class-mean-leak/seed-{seed}"
    return {"leak": attack(job, [obfuscator], seed, linear, cell=cell).strongest}


def mean_obfuscator(job: Job, fraction: float, sigma: float, seed: int) -> Obfuscator:
    """Class mean + noise, with the means of the clean part."""
    inputs, labels = job.records()
    part = clean_part(job, fraction, seed)
    x, c = inputs[part], labels[part]
    means = [_mean(x, c == k) for k in range(job.classes)]
    return class_mean(torch.stack(means), sigma)


def _mean(x: Tensor, member: Tensor) -> Tensor:
    return x[member].mean(0) if bool(member.any()) else x.mean(0)


def _round(
    job: Job, obfuscator: Obfuscator, fraction: float, seed: int, name: str
) -> dict[str, float]:
    inputs, labels = job.records()
    values = release_all(obfuscator, inputs, labels, seed, fraction, name)
    clean = clean_part(job, fraction, seed)
    values[clean] = inputs[clean]
    released = torch.ones(len(inputs), dtype=torch.bool)
    released[clean] = False
    return _resumed(job, values, released, fraction, seed, f"{name}-{fraction:g}/learner")


def _resumed(
    job: Job, values: Tensor, released: Tensor, fraction: float, seed: int, what: str
) -> dict[str, float]:
    """The accuracy of NN-p after it went on training on `values`, without screening."""
    name, phase = what.split("/")
    model, cell = clean_model(job, fraction, seed), f"{name}/seed-{seed}/{phase}"
    resume(job, model, values, released, None, cell, (seed, fraction, name))
    checkpoint_file(job, cell).unlink(missing_ok=True)
    return {"accuracy": accuracy(model, *job.test_records())}
