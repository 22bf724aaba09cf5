"""The tensors that a report shows: records beside what became of them."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from sfumato.files import atomic
from sfumato.nn import SoftSelection
from sfumato.obfuscation.obfuscator import Obfuscator
from sfumato.privacy import Leak
from sfumato.train import seeded


def save_pictures(
    path: Path, obfuscator: Obfuscator, leak: Leak, inputs: Tensor, labels: Tensor, count: int = 10
) -> None:
    """Write original, release, location, scale and the attacker's reconstruction of some records.

    One record of each class where there are that many, `count` in all; with them the learned
    selection.
    """
    index = _spread(labels, count)
    x, c = inputs[index], labels[index]
    with torch.no_grad(), seeded("pictures"):
        release, law = obfuscator.release(x, c), obfuscator.distribution(x, c)
        shown = {
            "original": x,
            "release": release,
            "location": law.mean,
            "scale": law.stddev,
            "reconstruction": leak.reconstruct(release.flatten(1), c).reshape(x.shape),
            "labels": c,
        }
        if isinstance(obfuscator.selection, SoftSelection):
            shown["selection"] = obfuscator.selection()
    with atomic(path) as part:
        save_file({name: tensor.contiguous() for name, tensor in shown.items()}, part)


def _spread(labels: Tensor, count: int) -> Tensor:
    """Record numbers, the first of every class before the second of any."""
    seen = torch.zeros(int(labels.max()) + 1, dtype=torch.long)
    rank = torch.empty_like(labels)
    for number, label in enumerate(labels.tolist()):
        rank[number] = seen[label]
        seen[label] += 1
    return (rank * len(seen) + labels).argsort()[:count]
