"""Linkage: which of many clean records is this the release of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, final

import torch
from torch import Tensor

from sfumato.errors import DataError, SettingError
from sfumato.privacy.attacks.base import Attack, Outcome
from sfumato.privacy.attacks.densities import log_densities
from sfumato.privacy.attacks.fitted import FittedLaw
from sfumato.privacy.attacks.fresh import is_gaussian
from sfumato.privacy.attacks.moments import known_law, mixture_of
from sfumato.privacy.attacks.scene import Scene
from sfumato.privacy.attacks.summary import Located, seen_of, summary_of
from sfumato.privacy.knowledge import Mechanism
from sfumato.train.seed import generator, seeded

_AVERAGE = "of several releases only their average is matched"

Scores: TypeAlias = Callable[[Tensor, Tensor, int, bool], Tensor]
"""Numbers of releases, records, their label, whether exactly -> how likely each pair is."""


@final
class LinkageAttack(Attack):
    """A matched filter: the record of the gallery under whose law the release is likeliest.

    The attacker holds clean records, the attacked ones among them, and asks which of them a
    release was made of; a register of persons with their pictures is such a gallery. So the
    attacked inputs are here what the attacker knows, not what it recovers. It needs no learning:
    among equally likely records, argmax_j log p(y | x_j, c) is right most often.

    The label c of a release is public. The headline therefore counts the records of that label
    alone, and its chance is the mean of 1 / (their number); `pooled_top1` is what remains for an
    attacker who holds the release's label but not those of the gallery. Equally likely records
    share the hit.

    A law that is not Gaussian is taken as it is in the gallery of the label, and through the
    Gaussian of its moments in the pooled one or for averages. Of K Gaussian releases whose scale
    follows the record the density is that of all of them, which their average and sample variance
    tell; of Laplace releases see `MapAttack`. Where the mechanism states no law,
    a linear map of record to release is fitted to auxiliary releases first (`FittedLaw`).

    Args:
        gallery: how many clean records there are, the attacked ones included; auxiliary records
            fill it up. Where more are attacked, the gallery is these.

    Raises:
        SettingError: `gallery` is below 2.
    """

    def __init__(self, gallery: int = 10_000) -> None:
        if gallery < 2:
            raise SettingError(f"a gallery needs at least 2 records, not {gallery}")
        self.gallery = gallery

    @property
    def name(self) -> str:
        return "linkage"

    @torch.no_grad()
    def run(self, scene: Scene) -> Outcome:
        inputs, labels = self._records(scene)
        with seeded(scene.seed, "linkage"):
            summary = summary_of(scene)
        summary = summary if isinstance(summary, Located) else None
        mechanism, notes = _law(scene, summary)
        seen = seen_of(scene, summary)

        def scores(rows: Tensor, inputs: Tensor, label: int, exact: bool) -> Tensor:
            return log_densities(
                mechanism, seen[rows], inputs, label,
                releases=scene.releases, exact=exact, summary=summary,
            )  # fmt: skip

        own, pooled = [], []
        for c in scene.target.labels.unique().tolist():
            rows = (scene.target.labels == c).nonzero().flatten()
            same = (labels == c).nonzero().flatten()
            place = torch.searchsorted(same, rows)
            own.append(_hits(scores, rows, inputs[same], c, place, exact=True))
            pooled.append(_hits(scores, rows, inputs, c, rows, exact=False))
        return _outcome(torch.cat(own), torch.cat(pooled), notes)

    def _records(self, scene: Scene) -> tuple[Tensor, Tensor]:
        """The gallery, the attacked records first."""
        others = max(0, self.gallery - len(scene.target))
        order = torch.randperm(len(scene.auxiliary), generator=generator(scene.seed, "linkage"))
        pick = order[:others]
        inputs = torch.cat([scene.target.inputs, scene.auxiliary.inputs[pick]])
        labels = torch.cat([scene.target.labels, scene.auxiliary.labels[pick]])
        if int(labels.bincount()[scene.target.labels].max()) < 2:
            raise DataError(
                "no release has a second record of its label in the gallery: give more auxiliary "
                "records or a larger gallery"
            )
        return inputs, labels


def _law(scene: Scene, summary: Located | None) -> tuple[Mechanism, tuple[str, ...]]:
    one = scene.target.inputs[:1], scene.target.labels[:1]
    law = known_law(scene.mechanism, *one)
    if law is None and scene.releases == 1 and mixture_of(scene.mechanism, *one) is not None:
        return scene.mechanism, ()
    if law is None:
        fitted = FittedLaw(scene.mechanism, scene.auxiliary)
        notes = ("the mechanism states no law: a linear map was fitted to releases",)
        return fitted, notes + ((_AVERAGE,) if scene.releases > 1 else ())
    if not is_gaussian(law) and scene.releases > 1:
        what = "the average's law is" if summary is None else "the laws of average and median are"
        return scene.mechanism, (f"{what} taken as Gaussian",)
    if scene.spread is not None and summary is None:
        return scene.mechanism, (_AVERAGE,)
    return scene.mechanism, ()


def _hits(
    scores_of: Scores, rows: Tensor, inputs: Tensor, label: int, place: Tensor, *, exact: bool
) -> Tensor:
    """For each release: is its record the first, is it among five, 1 / (size of the gallery)."""
    parts = []
    for some, at in zip(rows.split(512), place.split(512), strict=True):
        scores = scores_of(some, inputs, label, exact)
        mine = scores.gather(1, at.unsqueeze(1))
        better, equal = (scores > mine).sum(1), (scores == mine).sum(1)
        found = [((k - better) / equal).double().clamp(0, 1) for k in (1, 5)]
        parts.append(torch.stack([*found, torch.full_like(found[0], 1 / len(inputs))], 1))
    return torch.cat(parts)


def _outcome(own: Tensor, pooled: Tensor, notes: tuple[str, ...]) -> Outcome:
    top1, top5, chance = own.mean(0).tolist()
    pooled_top1, pooled_top5, pooled_chance = pooled.mean(0).tolist()
    figures = {
        "top1": top1,
        "top5": top5,
        "gallery": float((1 / own[:, 2]).mean()),
        "pooled_top1": pooled_top1,
        "pooled_top5": pooled_top5,
        "pooled_gallery": 1 / pooled_chance,
        "pooled_chance": pooled_chance,
    }
    return Outcome(figures, "top1", chance, notes=notes)
