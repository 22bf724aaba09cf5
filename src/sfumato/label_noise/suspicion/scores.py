"""How suspicious a label is to one trained network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from sfumato.errors import SettingError
from sfumato.label_noise.checks import check_labels, check_records
from sfumato.label_noise.outputs import log_spread, mean_logits
from sfumato.label_noise.suspicion.ranked import Suspects, ranked

Score = Literal["loss", "margin", "spread"]


def suspects(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    score: Score = "loss",
    batch_size: int = 1024,
) -> Suspects:
    """Rank labels by how suspicious they are to a network, on its mean path.

    - `"loss"`: the cross-entropy of the given label, in nats.
    - `"margin"`: the largest other logit less the given one's.
    - `"spread"`: the mean log σ of the stochastic layers, in nats. Spec 4 (§4.3, fig. 3b) sees more
      of it in wrong labels on Market-1501. It does not look at the label at all: where the same
      picture may have a right or a wrong one, as with flips between classes, it finds nothing.

    A network that was trained on these very labels may know wrong ones by heart; a regularised one,
    or one behind the matrix of mistakes, does not. `suspects_out_of_fold` avoids it altogether.

    Args:
        model: trained; gives logits `[B, C]`.
        inputs: records `[N, ...]`.
        labels: as given, `[N]`, int64.
        score: what suspicion is measured by.
        batch_size: records at a time.

    Returns:
        All records, the most suspicious first. As many are held wrong as have a label that is not
        the network's class.

    Raises:
        DataError: labels or records that cannot be used, or NaN.
        SettingError: an unknown score, more classes among the labels than logits, or for
            `"spread"` a network without stochastic layers.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[4.0, 0.0], [0.0, 4.0], [4.0, 0.0]])
        >>> found = suspects(torch.nn.Identity(), logits, torch.tensor([0, 0, 1]))
        >>> [(each.record, each.guessed) for each in found.top()]
        [(1, 1), (2, 0)]
    """
    if score not in SCORES:
        raise SettingError(f"unknown score {score!r}: use one of {', '.join(SCORES)}")
    check_labels(labels)
    check_records(inputs, labels)
    logits = mean_logits(model, inputs, batch_size).cpu()
    given = labels.cpu().long()
    if int(given.max()) >= logits.shape[1]:
        raise SettingError(f"label {int(given.max())} has no logit: there are {logits.shape[1]}")
    if score == "spread":
        values = log_spread(model, inputs, batch_size)
    else:
        values = _FROM_LOGITS[score](logits.double(), given)
    return ranked(score, values, given, logits.argmax(1))


def loss_of(logits: Tensor, labels: Tensor) -> Tensor:
    """The cross-entropy `[N]` of each label, in nats."""
    return -logits.log_softmax(1).gather(1, labels.unsqueeze(1)).squeeze(1)


def margin_of(logits: Tensor, labels: Tensor) -> Tensor:
    """The largest other logit less the label's, `[N]`."""
    place = labels.unsqueeze(1)
    others = logits.scatter(1, place, -torch.inf).amax(1)
    return others - logits.gather(1, place).squeeze(1)


_FROM_LOGITS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"loss": loss_of, "margin": margin_of}
SCORES: tuple[Score, ...] = ("loss", "margin", "spread")
"""What `suspects` can rank by."""
