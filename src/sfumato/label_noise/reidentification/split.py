"""Training, query and gallery pictures, with identities in the test that training never saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch

from sfumato.errors import DataError, SettingError
from sfumato.label_noise.reidentification.identities import (
    DISTRACTOR,
    Identities,
    check_people,
)
from sfumato.train.seed import generator


@final
@dataclass(frozen=True, eq=False)
class ReidentificationSplit:
    """What a re-identification model is trained on, and what it must find in what.

    Attributes:
        train: pictures to learn from.
        query: each asks: who in the gallery is this?
        gallery: pictures to look in.

    Raises:
        DataError: an identity of the test stands in the training pictures too, or a distractor
            (identity 0) among the training or query pictures.
    """

    train: Identities
    query: Identities
    gallery: Identities

    def __post_init__(self) -> None:
        for part in (self.train, self.query):
            check_people(part.identities, f"{part.name} holds")
        tested = torch.cat([self.query.identities, self.gallery.identities])
        tested = tested[tested > DISTRACTOR].unique()
        both = tested[torch.isin(tested, self.train.identities)]
        if len(both):
            raise DataError(
                f"{len(both)} identities of the test, {int(both[0])} among them, are in the "
                "training pictures too: a re-identification test is on unseen identities"
            )


def split_unseen(data: Identities, share: float = 0.5, *, seed: int = 0) -> ReidentificationSplit:
    """Some identities to train on, the others to test on.

    As in Market-1501, each camera that saw a test identity gives one query, drawn at random. The
    gallery is every picture that is not trained on, queries included, so that each query has an
    answer even where a camera saw an identity once; the query itself is by its own camera and so
    never counts. An identity that one camera alone saw asks nothing: it cannot be found elsewhere.

    Args:
        data: all pictures. Distractors (identity 0) and junk (-1) go into the gallery: number
            people from 1.
        share: of the identities, to train on.
        seed: which ones.

    Returns:
        The split.

    Raises:
        SettingError: `share` is not between 0 and 1.
        DataError: fewer than two identities on a side, or no identity that two cameras saw.
    """
    if not 0 < share < 1:
        raise SettingError(f"share must be between 0 and 1, not {share}")
    known = data.identities[data.identities > DISTRACTOR].unique()
    count = round(share * len(known))
    if min(count, len(known) - count) < 2:
        raise DataError(
            f"{len(known)} identities cannot be split {share:g} to {1 - share:g}: at least two are "
            "needed on each side"
        )
    chance = generator(seed, "split")
    known = known[torch.randperm(len(known), generator=chance)]
    training = torch.isin(data.identities, known[:count])
    query = _queries(data, known[count:], chance)
    if not query:
        raise DataError(f"no test identity of {data.name} was seen by two cameras")
    return ReidentificationSplit(
        data.subset(training.nonzero().flatten(), f"{data.name}, training"),
        data.subset(query, f"{data.name}, query"),
        data.subset((~training).nonzero().flatten(), f"{data.name}, gallery"),
    )


def _queries(data: Identities, tested: torch.Tensor, chance: torch.Generator) -> list[int]:
    """One picture of each test identity and camera, of identities that two cameras saw."""
    order = torch.randperm(len(data), generator=chance)
    order = order[torch.isin(data.identities[order], tested)]
    first: dict[tuple[int, int], int] = {}
    for at in order.tolist():
        first.setdefault((int(data.identities[at]), int(data.cameras[at])), at)
    cameras: dict[int, int] = {}
    for identity, _ in first:
        cameras[identity] = cameras.get(identity, 0) + 1
    return sorted(at for (identity, _), at in first.items() if cameras[identity] > 1)
