"""Mean average precision and cumulative match of queries in a gallery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor

from sfumato.errors import DataError, SettingError
from sfumato.label_noise.reidentification.identities import JUNK, Identities, check_people

RANKS = (1, 5, 10)


@final
@dataclass(frozen=True, eq=False)
class Retrieval:
    """How well queries find their identity in a gallery. All figures are shares in [0, 1].

    Attributes:
        mean_average_precision: mAP over the queries that count.
        cmc: rank k → share of queries with a right picture among their first k.
        average_precision: `[Q]`, of every query; NaN for one that the gallery cannot answer.
        queries: how many counted.
    """

    mean_average_precision: float
    cmc: dict[int, float]
    average_precision: Tensor = field(repr=False)
    queries: int

    def figures(self) -> dict[str, Any]:
        """The figures by name, as JSON values."""
        ranks = {f"rank_{k}": share for k, share in self.cmc.items()}
        return {"mean_average_precision": self.mean_average_precision, **ranks}


def retrieval(
    distances: Tensor,
    query: Identities | tuple[Tensor, Tensor],
    gallery: Identities | tuple[Tensor, Tensor],
    ranks: Sequence[int] = RANKS,
) -> Retrieval:
    """Mean average precision and CMC from distances, by the rule of Market-1501.

    For each query the gallery is sorted by distance; pictures of the same identity by the same
    camera, and junk (identity -1), are taken out. With the right ones at places r_1 < ... < r_m of
    what remains, AP = 1/m Σ_j j / r_j, and CMC at k counts the queries with r_1 ≤ k (Zheng et al.,
    ICCV 2015). Distractors (identity 0) stay in the gallery and are right for nobody. The first
    published evaluation took the mean of two neighbouring precisions (a trapezoid) in AP; this one
    takes the precision itself, as later work and scikit-learn do. A query whose identity no other
    camera saw cannot be answered and does not count. Of equal distances, the one that comes first
    in the gallery is taken first.

    Args:
        distances: `[Q, G]`; smaller is more alike.
        query: pictures, or their identities and cameras, `[Q]` each.
        gallery: the same of the gallery, `[G]` each.
        ranks: the k of CMC.

    Returns:
        The figures.

    Raises:
        DataError: wrong shapes, NaN among the distances, a distractor among the queries, or no
            query that can be answered.
        SettingError: no rank, or one below 1.

    Example:
        >>> import torch
        >>> query = torch.tensor([1]), torch.tensor([1])
        >>> gallery = torch.tensor([2, 1, 1]), torch.tensor([2, 2, 1])
        >>> found = retrieval(torch.tensor([[0.1, 0.2, 0.0]]), query, gallery, ranks=(1, 5))
        >>> found.mean_average_precision, found.cmc
        (0.5, {1: 0.0, 5: 1.0})
    """
    if not ranks or min(ranks) < 1:
        raise SettingError(f"ranks must be whole numbers of at least 1, not {tuple(ranks)}")
    asked, found = _known(query), _known(gallery)
    if distances.shape != (len(asked[0]), len(found[0])):
        raise DataError(
            f"distances must be [{len(asked[0])}, {len(found[0])}], queries by gallery, not "
            f"{list(distances.shape)}"
        )
    if bool(distances.isnan().any()):
        raise DataError("a distance is NaN: look for NaN in the features")
    check_people(asked[0], "a query has")
    pairs = [
        _one(row, int(identity), int(camera), found)
        for row, identity, camera in zip(distances, *asked, strict=True)
    ]
    return _summed(pairs, tuple(ranks))


def _known(data: Identities | tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return (data.identities, data.cameras) if isinstance(data, Identities) else data


def _one(
    row: Tensor, identity: int, camera: int, gallery: tuple[Tensor, Tensor]
) -> tuple[float, int]:
    """Average precision and the first right place; NaN and 0 where there is no right picture."""
    identities, cameras = gallery
    counts = (identities != JUNK) & ((identities != identity) | (cameras != camera))
    order = row[counts].argsort(stable=True)
    places = (identities[counts][order] == identity).nonzero().flatten().double() + 1
    if identity == JUNK or not len(places):
        return float("nan"), 0
    hits = torch.arange(1, len(places) + 1, dtype=torch.float64, device=places.device)
    return float((hits / places).mean()), int(places[0])


def _summed(pairs: list[tuple[float, int]], ranks: tuple[int, ...]) -> Retrieval:
    precision = torch.tensor([ap for ap, _ in pairs], dtype=torch.float64)
    first = torch.tensor([place for _, place in pairs])
    valid = first > 0
    if not bool(valid.any()):
        raise DataError(
            "no query can be answered: the gallery holds no picture of its identity by another "
            "camera"
        )
    return Retrieval(
        float(precision[valid].mean()),
        {k: float((first[valid] <= k).double().mean()) for k in ranks},
        precision,
        int(valid.sum()),
    )
