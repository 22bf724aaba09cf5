"""The suite: which attacks, aimed at which prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, final

from torch import nn

from sfumato.errors import SettingError
from sfumato.robustness.attacks import (
    APGD,
    FGSM,
    PGD,
    Attack,
    CarliniWagner,
    MarginPGD,
    Norm,
    Square,
    Transfer,
)
from sfumato.robustness.evaluation.report import Prediction

_MEAN: Prediction = "mean"
QUERIES = 2000
"""Of Square against a deterministic model; 500 proved too few on MNIST."""
NOISY_QUERIES = 300
"""Of Square against a noisy model, where each is measured over all draws, twice."""
QUICK_QUERIES = 100


@final
@dataclass(frozen=True)
class Entry:
    """An attack and the prediction that it is aimed at.

    Args:
        attack: at some ε; it is run at every one of the evaluation's.
        target: with "mean" it attacks the mean path, with one draw.
        name: of its own among those of one target.
    """

    attack: Attack
    target: Prediction
    name: str

    @property
    def key(self) -> str:
        """A name of its own in the suite."""
        return f"{self.name}/{self.target}"


def standard_attacks(
    norm: Norm = "linf",
    *,
    draws: int = 1,
    undefended: nn.Module | None = None,
    classes: int = 10,
    bounds: tuple[float, float] = (0.0, 1.0),
    max_batch: int = 512,
    quick: bool = False,
) -> tuple[Attack, ...]:
    """The attacks of `evaluate(attacks="standard")`, or "quick", at ε = 1: take `attack.at(ε)`.

    FGSM, PGD and APGD on the cross-entropy; margin PGD with restarts and APGD on the difference of
    logits ratio, which blown-up logits do not stop; Square, which needs no gradient; Transfer,
    where there is a network to transfer from; Carlini-Wagner in L2. With several draws, those
    against the averaged prediction stand beside those against the sampled one. Square has 2,000
    queries with one draw and 300 with several, where each costs 2 · draws evaluations; "quick" has
    100. More find more: add a `Square(queries=10_000)` of your own where it decides.

    Args:
        norm: "linf" or "l2".
        draws: of the model's noise in each step; 1 for a deterministic model.
        undefended: the network that Transfer takes its examples from.
        classes: of the model: with two there is no difference of logits ratio.
        bounds: what values of a record may be.
        max_batch: at most so many records times draws in a forward.
        quick: a quarter of the steps, and only FGSM, PGD, margin PGD and Square (and Transfer).

    Returns:
        The attacks, the quickest first.

    Example:
        >>> from sfumato.robustness import standard_attacks
        >>> [attack.name for attack in standard_attacks(quick=True)]
        ['fgsm-cross-entropy', 'pgd-cross-entropy', 'margin-pgd', 'square']
    """
    given: dict[str, Any] = {"epsilon": 1.0, "norm": norm, "bounds": bounds, "max_batch": max_batch}
    noisy = {**given, "draws": draws}
    steps = 10 if quick else 40
    sure: Literal["dlr", "margin"] = "dlr" if classes > 2 else "margin"
    found: list[Attack] = [FGSM(**noisy), PGD(**noisy, steps=steps, step=3 / steps)]
    found += [MarginPGD(**noisy, steps=steps, restarts=1 if quick or draws > 1 else 2)]
    if not quick:
        found += [APGD(**noisy, steps=steps)]
        if norm == "l2":
            found += [CarliniWagner(**noisy)]
        averages: dict[str, Any] = {"average": "logits"} if draws > 1 else {}
        if averages:
            found += [MarginPGD(**noisy, **averages, steps=steps, restarts=1)]
        found += [APGD(**noisy, **averages, loss=sure, steps=steps)]
    if undefended is not None:
        found += [Transfer(**given, source=undefended, steps=steps)]
    queries = QUICK_QUERIES if quick else QUERIES if draws == 1 else NOISY_QUERIES
    average = "loss" if draws == 1 else "logits"
    return (*found, Square(**noisy, average=average, queries=queries))


def entries_of(
    attacks: Sequence[Attack], norm: Norm, *, stochastic: bool, at_mean: Sequence[Attack] = ()
) -> tuple[Entry, ...]:
    """Every attack with its target; and for a mean path, the iterative ones against it.

    Args:
        attacks: against what the model passes on.
        norm: of the evaluation.
        stochastic: whether the model draws.
        at_mean: against the mean path, where there is one: as strong as against a deterministic
            model, since a pass costs as much.

    Raises:
        SettingError: no attacks, one that is none, or one of another norm.
    """
    if not attacks or not all(isinstance(attack, Attack) for attack in attacks):
        raise SettingError("attacks is 'standard', 'quick' or a list of sfumato's attacks")
    other = [attack.name for attack in attacks if attack.norm != norm]
    if other:
        raise SettingError(f"the evaluation's norm is {norm!r}, not that of {', '.join(other)}")
    aimed: Sequence[tuple[Attack, Prediction]]
    aimed = [(_one_draw(one, stochastic), _target(one, stochastic)) for one in attacks]
    aimed = [*aimed, *((_at_mean(one), _MEAN) for one in at_mean if _suits_mean(one))]
    found: list[Entry] = []
    for number, (attack, target) in enumerate(aimed):
        if (attack, target) not in aimed[:number]:
            same = sum(e.attack.name == attack.name and e.target == target for e in found)
            name = f"{attack.name}-{same + 1}" if same else attack.name
            found.append(Entry(attack, target, name))
    return tuple(found)


def _one_draw(attack: Attack, stochastic: bool) -> Attack:
    """Without noise one draw is all; the draws of a transfer are those of its source."""
    if stochastic or attack.kind == "transfer" or attack.draws == 1:
        return attack
    return replace(attack, draws=1)


def _suits_mean(attack: Attack) -> bool:
    """Whether it is worth a run at the mean path: iterative, and not there twice."""
    iterative = attack.kind == "first-order" and attack.average == "loss"
    return attack.kind == "black-box" or (iterative and hasattr(attack, "steps"))


def _at_mean(attack: Attack) -> Attack:
    """With one draw, and past the boundary of the mean path, which noise would undo."""
    changes = {"stop": False} if hasattr(attack, "stop") else {}
    return replace(attack, draws=1, **changes)


def _target(attack: Attack, stochastic: bool) -> Prediction:
    noisy = stochastic and attack.average != "loss" and attack.draws > 1
    return "averaged" if noisy else "sampled"
