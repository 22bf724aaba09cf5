"""Scores that can be compared between layers, and the neurons that are missed least."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sfumato.compression.importance.base import Importance, Normalise
from sfumato.compression.importance.scene import Scene
from sfumato.errors import DataError, SettingError


def ranked(importance: Importance, scene: Scene, costs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The scores of all neurons, comparable between layers.

    Args:
        importance: the measure.
        scene: what it looks at.
        costs: by group, the multiplications that go with each neuron, `[size]`.

    Raises:
        DataError: a score is NaN or infinite.
        SettingError: the measure gives other groups or sizes than the network has, or negative
            scores with `per_cost`.
    """
    scores = importance.score(scene)
    sizes = scene.wiring.sizes
    given = {name: list(values.shape) for name, values in scores.items()}
    if given != {name: [size] for name, size in sizes.items()}:
        raise SettingError(f"the importance gave scores {given} for groups of {sizes} neurons")
    total = sum(float(each.sum()) for each in costs.values())
    found: dict[str, Tensor] = {}
    for name in sizes:  # in the network's order, whatever the measure's
        raw = scores[name].detach().double().cpu()
        if not bool(raw.isfinite().all()):
            raise DataError(f"the importance of a neuron of {name!r} is NaN or infinite")
        made = normalised(raw, importance.normalise)
        if importance.per_cost:
            if bool((made < 0).any()):
                raise SettingError("per_cost divides scores by their cost: none may be negative")
            made = made / (costs[name].double().clamp(min=1) / total)
        found[name] = made
    return found


def normalised(scores: Tensor, by: Normalise) -> Tensor:
    """The scores `[size]` of one layer, made comparable with those of others.

    Raises:
        SettingError: `by` is unknown.
    """
    if by == "none":
        return scores
    if by == "rank":
        order = scores.argsort(stable=True).argsort()
        return (order + 1).to(scores) / len(scores)
    if by not in ("l2", "mean"):
        raise SettingError(f"unknown normalise={by!r}: use 'l2', 'mean', 'rank' or 'none'")
    size = scores.norm() if by == "l2" else scores.abs().mean()
    return scores / size if size > 0 else scores


def least(scores: Mapping[str, Tensor], number: int = 1) -> dict[str, list[int]]:
    """The neurons with the lowest scores, never the last one of a group.

    Args:
        scores: by group, `[size]`.
        number: how many at most.

    Returns:
        By group, their numbers.
    """
    left = {name: len(values) - 1 for name, values in scores.items()}
    names = list(scores)
    joined = torch.cat([scores[name] for name in names])
    owner = torch.cat([torch.full((len(scores[n]),), i) for i, n in enumerate(names)])
    where = torch.cat([torch.arange(len(scores[n])) for n in names])
    chosen: dict[str, list[int]] = {}
    for place in joined.argsort(stable=True).tolist():
        name = names[int(owner[place])]
        if left[name] > 0:
            left[name] -= 1
            chosen.setdefault(name, []).append(int(where[place]))
            number -= 1
        if number <= 0:
            break
    return chosen
