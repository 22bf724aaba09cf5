"""Membership inference: was this record in the model's training set."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.data.optional import needs
from sfumato.data.records import Records
from sfumato.errors import DataError, SettingError
from sfumato.privacy.attacks.base import Attack, Outcome
from sfumato.privacy.attacks.fresh import fresh
from sfumato.privacy.attacks.scene import Scene
from sfumato.privacy.attacks.thresholds import area, balanced, best_threshold, caught_at
from sfumato.train.seed import derive, generator, seeded

Kind: TypeAlias = Literal["rf", "lr", "nn", "gb", "dt", "knn", "svm"]
_LEAST = 10


@final
class MembershipAttack(Attack):
    """Membership inference on the clean part and on the released part of a training set, apart.

    For each part, three attackers compare its records with held-out ones:

    * the learned black-box attack and the rule "predicted rightly, so a member" of the adversarial
      robustness toolbox (`MembershipInferenceBlackBox` and `MembershipInferenceBlackBoxRuleBased`);
    * a threshold on the loss (Yeom et al., 2018, "Privacy risk in machine learning").

    Half of either group teaches the attacker, the other half is attacked. Every figure is a
    balanced accuracy, 0.5 by chance, except `..._auc` and `..._tpr_at_1_percent`: the share of
    members that the loss catches while 1 % of the others pass for members (Carlini et al., 2022).
    `..._auc` and `..._tpr_at_1_percent` need no teaching and take all records.

    The released part is attacked as an outsider would who holds the person's clean record
    (`released_...`) and, where `stored` is given, as one who holds the stored release
    (`stored_...`): held-out records are then released afresh under their own labels, so that the
    noise itself does not tell members from others.

    The headline is the strongest attacker on the released part. It is the largest of a few
    figures, and so lies above 0.5 by about a standard error where there is nothing to find.

    Args:
        clean_members: records on which the model was trained as they are.
        released_members: the clean originals of the records whose releases it was trained on.
        nonmembers: records of the same distribution that it was not trained on.
        model: takes records, gives logits; the scene's by default.
        stored: the releases that it was trained on, `[N, ...]` in the order of `released_members`.
        kind: the toolbox's attack model: a random forest, logistic regression, network ...
    """

    def __init__(
        self,
        clean_members: Records,
        released_members: Records,
        nonmembers: Records,
        model: nn.Module | None = None,
        *,
        stored: Tensor | None = None,
        kind: Kind = "rf",
    ) -> None:
        for records, what in (
            (clean_members, "clean members"),
            (released_members, "released members"),
            (nonmembers, "non-members"),
        ):
            if len(records) < _LEAST:
                raise DataError(
                    f"membership inference needs at least {_LEAST} {what}, not {len(records)}"
                )
        if stored is not None and len(stored) != len(released_members):
            raise DataError(f"{len(stored)} stored releases of {len(released_members)} records")
        self.clean, self.released, self.others = clean_members, released_members, nonmembers
        self.model, self.stored = model, stored
        self.kind: Kind = kind

    @property
    def name(self) -> str:
        return "membership"

    def run(self, scene: Scene) -> Outcome:
        """Attack the training set; of the scene, model, mechanism and seed are used.

        Raises:
            SettingError: neither the attack nor the scene has a model.
            MissingDependency: the adversarial robustness toolbox is not installed.
        """
        model = self.model if self.model is not None else scene.model
        if model is None:
            raise SettingError("membership inference needs the trained model: give model")
        figures: dict[str, float] = {}
        with seeded(scene.seed, "membership"), torch.no_grad():
            outsiders = _answers(model, self.others.inputs, self.others.labels)
            for part, members in (("clean", self.clean), ("released", self.released)):
                inside = _answers(model, members.inputs, members.labels)
                figures |= _attacked(part, inside, outsiders, self.kind, scene.seed)
            if self.stored is not None:
                again = fresh(scene.mechanism, self.others.inputs, self.others.labels)
                outsiders = _answers(model, again, self.others.labels)
                inside = _answers(model, self.stored, self.released.labels)
                figures |= _attacked("stored", inside, outsiders, self.kind, scene.seed)
        parts = ("clean",), ("released", "stored")
        for part, names in zip(("clean", "released"), parts, strict=True):
            figures[part] = max(figures.get(f"{n}_{a}", 0.5) for n in names for a in _ATTACKERS)
        return Outcome(figures, "released", 0.5, notes=(f"learned attack: {self.kind}, by ART",))


_ATTACKERS = ("learned", "rule", "loss")


@final
@dataclass(frozen=True)
class Answers:
    """What the model says of a group of records: its logits, beside their labels."""

    inputs: Tensor
    logits: Tensor
    labels: Tensor

    @property
    def scores(self) -> Tensor:
        """Minus the loss of each record; a member's is larger."""
        return -F.cross_entropy(self.logits, self.labels, reduction="none")

    def first(self, count: int) -> Answers:
        """The first `count` of them."""
        return Answers(self.inputs[:count], self.logits[:count], self.labels[:count])

    def halves(self, seed: int) -> tuple[Answers, Answers]:
        """One half to learn from, one to attack, at random."""
        order = torch.randperm(len(self.labels), generator=generator(seed, "membership"))
        return tuple(
            Answers(self.inputs[i], self.logits[i], self.labels[i]) for i in order.tensor_split(2)
        )  # type: ignore[return-value]


def _answers(model: nn.Module, inputs: Tensor, labels: Tensor) -> Answers:
    modes = {part: part.training for part in model.modules()}
    model.eval()
    try:
        logits = torch.cat([model(x) for x in inputs.split(1024)]).float()
    finally:
        for part, mode in modes.items():
            part.training = mode
    if logits.dim() != 2 or logits.shape[1] <= int(labels.max()):
        raise SettingError(
            f"the model must give logits [N, {int(labels.max()) + 1} or more], not "
            f"{list(logits.shape)}"
        )
    return Answers(inputs, logits, labels)


def _attacked(
    part: str, members: Answers, others: Answers, kind: Kind, seed: int
) -> dict[str, float]:
    taught, attacked = zip(members.halves(seed), others.halves(seed), strict=True)
    size = min(len(group.labels) for group in taught)
    taught = tuple(group.first(size) for group in taught)  # else the larger group is the guess
    threshold = best_threshold(*(group.scores for group in taught))
    called = [group.scores > threshold for group in attacked]
    learned, rule = _toolbox(taught, attacked, kind, seed)
    scores = members.scores, others.scores
    return {
        f"{part}_learned": learned,
        f"{part}_rule": rule,
        f"{part}_loss": balanced(*called),
        f"{part}_auc": area(*scores),
        f"{part}_tpr_at_1_percent": caught_at(*scores, 0.01),
    }


def _toolbox(
    taught: tuple[Answers, ...], attacked: tuple[Answers, ...], kind: Kind, seed: int
) -> tuple[float, float]:
    """The balanced accuracy of the toolbox's learned and rule-based attacks."""
    with needs("audit"):
        from art.attacks.inference.membership_inference import (
            MembershipInferenceBlackBox,
            MembershipInferenceBlackBoxRuleBased,
        )
    classifier = _classifier(attacked[0].logits.shape[1])
    with _numpy_seeded(seed), torch.enable_grad():
        attack: Any = MembershipInferenceBlackBox(classifier, attack_model_type=kind)
        rows = [(_array(a.logits.softmax(1)), _one_hot(a)) for a in taught]
        (pred, y), (test_pred, test_y) = rows
        attack.fit(y=y, test_y=test_y, pred=pred, test_pred=test_pred)
        called = [
            attack.infer(x=None, y=_one_hot(a), pred=_array(a.logits.softmax(1))) for a in attacked
        ]
        rule: Any = MembershipInferenceBlackBoxRuleBased(classifier)
        right = [rule.infer(_array(a.logits), _one_hot(a)) for a in attacked]
    return tuple(  # type: ignore[return-value]
        balanced(*(torch.as_tensor(c).reshape(-1) > 0.5 for c in calls))
        for calls in (called, right)
    )


def _classifier(classes: int) -> Any:
    """A toolbox classifier whose records are the logits already."""
    from art.estimators.classification import BlackBoxClassifier

    return BlackBoxClassifier(copy.copy, (classes,), classes)


def _array(values: Tensor) -> Any:
    return values.detach().cpu().numpy()


def _one_hot(answers: Answers) -> Any:
    return _array(F.one_hot(answers.labels, answers.logits.shape[1]).float())


@contextmanager
def _numpy_seeded(seed: int) -> Iterator[None]:
    """The toolbox draws from numpy's global generator: seeded inside, restored after."""
    import numpy as np

    before = np.random.get_state()  # noqa: NPY002 - the toolbox uses it
    np.random.seed(derive(seed, "membership") % 2**32)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
