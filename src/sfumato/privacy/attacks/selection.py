"""Attacks on the selection: what π(x) and σ(x) tell of the record, draw or no draw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.distributions import Gamma, Normal

from sfumato.data.records import Records
from sfumato.errors import SettingError
from sfumato.nn.conditional.selection import SoftSelection
from sfumato.objectives.moments import bare
from sfumato.placement.before import output_of
from sfumato.privacy.attacks.base import Attack, Outcome
from sfumato.privacy.attacks.fresh import fresh
from sfumato.privacy.attacks.moments import known_law
from sfumato.privacy.attacks.ridge import Ridge
from sfumato.privacy.attacks.scene import Scene
from sfumato.privacy.attacks.wiener import LinearDecoder
from sfumato.privacy.knowledge import Knowledge, Mechanism, Served
from sfumato.train.seed import generator, seeded

Features = Callable[[Tensor, Tensor], Tensor]
_STRENGTHS = (1e-8, 1e-6, 1e-4, 1e-2, 1.0, 1e2, 1e4)
_LOOKED_AT = 16
# Of records of more elements than these, some of the records and of their elements stand for all.
_LARGE, _ROWS, _PLACES = 1024, 4096, 512


@final
class SelectionAttack(Attack):
    """Recovers records from the parameters of the release that depend on them, its location aside.

    A scale σ(x) that follows the record, or a gate π(x) before it, is one more channel. The
    attacker is given these parameters without noise, which nobody is who holds releases only: the
    headline is the most that this channel could ever tell a ridge regression of the record on σ(x),
    on log σ(x) or on π(x), whichever is best on a held-out tenth of the auxiliary records.

    * `parameters`, the headline: the largest leak of these, 1 - (squared error) / (squared error
      of the class mean). 0 where scale and selection are the same for all records of a class.
    * `released_scale`: from σ(x) under the record's label; `served_scale`: under the learned
      selection; `gate`: from π(x).
    * `released_noise`, `served_noise`: the same regression on what the releases show of the scale,
      the mean square of y - location over K fresh releases (at most 16 of them where the law is
      not Gaussian). The attacker is given the location: still more than a holder of releases has,
      but with the noise in the way.
    * `label_from_scale`: how often the same regression reads the class off the served σ(x);
      `label_majority` is how often the commonest class is right.
    * `served_leak`, `released_leak`, `shift`: the linear leak of fresh served records (label
      unknown, soft selection), that of records released under their labels, and their
      difference. The attacker knows the label in both.

    Of records of more than 1,024 elements the regressions recover 512, drawn at random, and learn
    from 4,096 auxiliary records at most, from log σ(x) alone.

    Records are served by calling the mechanism, `mechanism(x)`, under its own `selection`. The
    parts that a mechanism does not have are left out, and a note says so; where it does not state
    the law of a release there is nothing to read, and the attack is not run.
    """

    @property
    def name(self) -> str:
        return "selection"

    def run(self, scene: Scene) -> Outcome:
        """Attack the laws and fresh draws of `scene.mechanism`; `scene.seen` is not needed.

        Raises:
            SettingError: the mechanism does not state the law of a release.
        """
        with seeded(scene.seed, "selection"), torch.no_grad():
            figures, notes = {"parameters": 0.0}, []
            if known_law(scene.mechanism, scene.target.inputs[:1], scene.target.labels[:1]) is None:
                raise SettingError(
                    "the attack on the selection reads the scale of a release off its law, which "
                    "the mechanism does not state"
                )
            leaks = self._released(scene, figures, notes)
            served = _served(scene.mechanism)
            if served is None:
                notes.append("not applicable to serving: no selection is learned")
            else:
                leaks |= self._served(scene, served, figures, notes)
                figures |= _shift(scene, served)
            figures |= leaks
            figures["parameters"] = max([0.0, *leaks.values()])
        return Outcome(figures, "parameters", 0.0, notes=tuple(notes))

    def _released(
        self, scene: Scene, figures: dict[str, float], notes: list[str]
    ) -> dict[str, float]:
        scale = _scale(scene.mechanism)
        if not _varies(scale, scene.auxiliary, within_class=True):
            notes.append("the scale of a release does not depend on the record, given its label")
            return {}
        figures["released_noise"] = _strongest(scene, _both(_noise(scene.mechanism, scene)))
        return {"released_scale": _strongest(scene, _both(scale))}

    def _served(
        self, scene: Scene, served: Served, figures: dict[str, float], notes: list[str]
    ) -> dict[str, float]:
        leaks, scale = {}, _scale(served)
        if not _has_moments(served, scene):
            notes.append("not run on serving: the law of a served record is not stated")
        elif _varies(scale, scene.auxiliary, within_class=False):
            leaks["served_scale"] = _strongest(scene, _both(scale))
            figures["served_noise"] = _strongest(scene, _both(_noise(served, scene)))
            figures |= _label_from(scene, _both(scale)[1])
        else:
            notes.append("the scale of a served record does not depend on it")
        gate = _gate(scene.mechanism)
        if gate is None:
            notes.append("the selection is the same for all records")
        else:
            leaks["gate"] = _strongest(scene, (gate,))
        return leaks


def _served(mechanism: Any) -> Served | None:
    learned = getattr(mechanism, "selection", None) is not None
    return Served(mechanism) if learned and callable(mechanism) else None


def _gate(mechanism: Any) -> Features | None:
    """π as a function of the record, where it is one."""
    selection = mechanism.selection
    if isinstance(selection, SoftSelection) or not isinstance(selection, nn.Module):
        return None
    pre = getattr(mechanism, "pre", nn.Identity())
    return lambda x, _: selection(output_of(pre, x)).flatten(1)


def _has_moments(mechanism: Mechanism, scene: Scene) -> bool:
    """Whether the law of a release has a variance, however its elements are tied."""
    try:
        law = bare(mechanism.distribution(scene.target.inputs[:1], scene.target.labels[:1]))
        return bool(law.variance.isfinite().all())
    except (AttributeError, NotImplementedError):
        return False


def _scale(mechanism: Mechanism) -> Features:
    def scale(x: Tensor, labels: Tensor) -> Tensor:
        law = bare(mechanism.distribution(x, labels))
        return law.variance.reshape(len(x), -1).sqrt()

    return scale


def _noise(mechanism: Mechanism, scene: Scene) -> Features:
    """The root mean square of the noise of K fresh releases."""
    releases = scene.releases

    def noise(x: Tensor, labels: Tensor) -> Tensor:
        law = bare(mechanism.distribution(x, labels))
        if isinstance(law, Normal):  # a mean of K squares is one Gamma variate
            half = torch.full_like(law.mean, releases / 2)
            return (law.variance * Gamma(half, half).sample()).sqrt().reshape(len(x), -1)
        location, count = law.mean.reshape(len(x), -1), min(releases, _LOOKED_AT)
        draws = [mechanism.release(x, labels).flatten(1) - location for _ in range(count)]
        return torch.stack(draws).square().mean(0).sqrt()

    return noise


def _both(scale: Features) -> tuple[Features, Features]:
    return scale, lambda x, labels: scale(x, labels).clamp(min=1e-30).log()


def _varies(scale: Features, records: Records, *, within_class: bool) -> bool:
    """Whether the scale differs between records (of one class)."""
    x, labels = records.inputs[:1024], records.labels[:1024]
    values = scale(x, labels)
    groups = labels if within_class else torch.zeros_like(labels)
    for c in groups.unique().tolist():
        own = values[groups == c]
        if bool((own.amax(0) > own.amin(0) * (1 + 1e-5)).any()):
            return True
    return False


def _strongest(scene: Scene, features: tuple[Features, ...]) -> float:
    """The leak of the regression that is best on held-out auxiliary records."""
    order = generator(scene.seed, "selection")
    size = scene.auxiliary.inputs[0].numel()
    rows = torch.randperm(len(scene.auxiliary), generator=order)
    places = torch.randperm(size, generator=order)[:_PLACES] if size > _LARGE else slice(None)
    rows = rows[:_ROWS] if size > _LARGE else rows
    held = scene.auxiliary.subset(rows[: max(1, len(rows) // 10)])
    used = scene.auxiliary.subset(rows[len(held) :]) if len(rows) > 1 else held
    tried = []
    for feature in features[-1:] if size > _LARGE else features:
        answers = used.inputs.flatten(1)[:, places]
        ridge = _fitted(feature, used, answers, scene.num_classes)
        for strength in _STRENGTHS[2:] if size > _LARGE else _STRENGTHS:
            solved = ridge.solved(strength)
            tried.append((_leak(solved, feature, held, places), solved, feature))
    best = max(range(len(tried)), key=lambda i: tried[i][0])
    _, solved, feature = tried[best]
    return _leak(solved, feature, scene.target, places)


def _fitted(feature: Features, records: Records, answers: Tensor, groups: int) -> Ridge:
    ridge, labels = None, records.labels
    for index in torch.arange(len(records)).split(1024):
        seen = feature(records.inputs[index], labels[index])
        ridge = ridge or Ridge(seen.shape[1], groups, answers.shape[1])
        ridge.add(seen, labels[index] if groups > 1 else torch.zeros_like(index), answers[index])
    assert ridge is not None
    return ridge


def _leak(ridge: Ridge, feature: Features, records: Records, places: Tensor | slice) -> float:
    error = label_only = 0.0
    for x, c in zip(records.inputs.split(1024), records.labels.split(1024), strict=True):
        record, mean = x.flatten(1)[:, places], ridge.means[c, ridge.size :]
        error += float((ridge.scores(feature(x, c), c) - record).square().sum())
        label_only += float((mean - record).square().sum())
    return 1 - error / max(label_only, 1e-300)


def _label_from(scene: Scene, feature: Features) -> dict[str, float]:
    known, labels = scene.auxiliary, scene.target.labels
    answers = torch.nn.functional.one_hot(known.labels, scene.num_classes)
    ridge = _fitted(feature, known, answers, 1).solved(1e-3)
    seen = feature(scene.target.inputs, labels)
    read = ridge.scores(seen, torch.zeros_like(labels)).argmax(1)
    return {
        "label_from_scale": float((read == labels).double().mean()),
        "label_majority": float((labels == answers.sum(0).argmax()).double().mean()),
    }


def _shift(scene: Scene, served: Served) -> dict[str, float]:
    leaks, target = [], scene.target
    for mechanism in (served, scene.mechanism):
        known = scene.auxiliary.inputs, scene.auxiliary.labels
        knowledge = Knowledge(*known, scene.num_classes, [mechanism], scene.releases)
        # Where records abound, the search for a shrinkage costs much and changes nothing.
        few = len(known[0]) < 2 * target.inputs[0].numel()
        decoder = LinearDecoder(knowledge, pooled=True, shrink=few)
        seen = fresh(mechanism, target.inputs, target.labels, scene.releases).flatten(1)
        guess = decoder.reconstruct(seen, target.labels)
        record = target.inputs.flatten(1)
        label_only = (decoder.means[target.labels] - record).square().sum().clamp(min=1e-30)
        leaks.append(float(1 - (guess - record).square().sum() / label_only))
    served_leak, released_leak = leaks
    return {
        "served_leak": served_leak,
        "released_leak": released_leak,
        "shift": served_leak - released_leak,
    }
