"""Which records are worth releasing: the others stay at home, and leak nothing."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn

from sfumato.data.records import Records, check_batch
from sfumato.errors import DataError, SettingError, SfumatoError
from sfumato.train.seed import generator

Policy: TypeAlias = Literal["auto", "random", "hard"]

_KNOWN_WELL = 0.8
"""Accuracy from which on hard records teach more than others."""


@torch.no_grad()
def margins(model: nn.Module, inputs: Tensor, labels: Tensor, batch_size: int = 1024) -> Tensor:
    """How safely a model knows each record: its own class's logit less the largest other, `[N]`.

    Below 0 the model is wrong. A record with a large margin teaches the model little.

    Args:
        model: gives logits `[B, C]`; evaluated in evaluation mode, which is restored.
        inputs: `[N, ...]`.
        labels: `[N]`.
        batch_size: records at a time.

    Raises:
        DataError: the model cannot take the records.
        SettingError: it gives no logits `[B, C]` of two classes or more, every label's among them.
    """
    before, parts = model.training, []
    model.eval()
    try:
        for x, c in zip(inputs.split(batch_size), labels.split(batch_size), strict=True):
            logits, own = _logits(model, x, c), c.unsqueeze(1)
            rival = logits.scatter(1, own, float("-inf")).amax(1)
            parts.append(logits.gather(1, own).squeeze(1) - rival)
    finally:
        model.train(before)
    return torch.cat(parts)


def _logits(model: nn.Module, x: Tensor, labels: Tensor) -> Tensor:
    try:
        logits: Any = model(x)
    except SfumatoError:
        raise
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise DataError(
            f"the model cannot take records of shape {list(x.shape[1:])} ({error}): give the "
            "network of the clean part, and records as it was trained on"
        ) from error
    classes = max(2, int(labels.max()) + 1)
    if not isinstance(logits, Tensor) or logits.dim() != 2 or len(logits) != len(x):
        found = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise SettingError(
            f"the model must give logits [B, C], here [{len(x)}, {classes}], not {found}"
        )
    if logits.shape[1] < classes or not logits.is_floating_point():
        raise SettingError(
            f"the model must give a logit for each of {classes} classes, not {logits.dtype} of "
            f"shape {list(logits.shape)}"
        )
    return logits


def is_known_well(known: Tensor) -> bool:
    """Whether a model with these margins is so good that hard records teach it the most."""
    return float((known > 0).float().mean()) >= _KNOWN_WELL


def worth_releasing(
    model: nn.Module,
    records: Records,
    share: float = 0.1,
    policy: Policy = "auto",
    *,
    seed: int = 0,
) -> Tensor:
    """The numbers of the records to release; a record that is never released leaks nothing.

    What a trainer needs is the population, and few records already show it. `"hard"` releases the
    records that the model of the clean part knows least (smallest `margins`): where that model is
    good, they teach the most, and where it is poor they do not (Sorscher et al., "Beyond neural
    scaling laws", 2022). `"auto"` takes the hard ones where the model is right on 80 % of the
    records or more, and random ones otherwise.

    Whoever learns that a record was chosen as hard learns one bit about it. Those that are released
    leak what their noise lets through: the leak of the others does not make theirs smaller.

    Args:
        model: the network of the clean part, which has not seen `records`.
        records: the records that could be released.
        share: how many of them to release, in (0, 1].
        policy: which ones.
        seed: of the random choice.

    Returns:
        Indices `[n]` in growing order, at least one.

    Raises:
        SettingError: a share outside (0, 1], an unknown policy, or a model that gives no logits
            `[B, C]`.
        DataError: no records, NaN or infinity among them or in the model's logits, or a model that
            cannot take them.

    Example:
        >>> records = Records(torch.eye(4), torch.tensor([0, 0, 1, 1]), ("a", "b"))
        >>> knows_first = nn.Linear(4, 2)
        >>> with torch.no_grad():
        ...     _ = knows_first.weight.copy_(torch.tensor([[9.0, 1, 0, 0], [0, 0, 0, 9]]))
        ...     _ = knows_first.bias.zero_()
        >>> worth_releasing(knows_first, records, share=0.5, policy="hard")
        tensor([1, 2])
    """
    if not 0 < share <= 1:
        raise SettingError(f"the share to release must lie in (0, 1], not {share}")
    if policy not in get_args(Policy):
        raise SettingError(f"policy must be one of {', '.join(get_args(Policy))}, not {policy!r}")
    if not len(records):
        raise DataError(f"{records.name} holds no records: there is nothing to release")
    check_batch(records.inputs, records.labels, records.num_classes, records.name)
    count = max(1, round(share * len(records)))
    if policy == "random":
        return _random(len(records), count, seed)
    known = margins(model, records.inputs, records.labels)
    if not bool(known.isfinite().all()):
        raise DataError("the model's logits hold NaN or infinity: train it again")
    if policy == "auto" and not is_known_well(known):
        return _random(len(records), count, seed)
    return known.argsort(stable=True)[:count].sort().values


def _random(total: int, count: int, seed: int) -> Tensor:
    return torch.randperm(total, generator=generator(seed, "worth"))[:count].sort().values
