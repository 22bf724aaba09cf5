"""One line of a comparison: a selector, the predictor that is trained for it, its rounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, final

from torch import nn

from sfumato.pixels.evaluation.evaluate import evaluate
from sfumato.pixels.evaluation.headroom import evaluate_oracle
from sfumato.pixels.scenes import Scenes
from sfumato.pixels.selectors import Selector
from sfumato.pixels.training import PixelRecipe, train
from sfumato.train import Progress, seeded, silent

MakePredictor: TypeAlias = Callable[[Scenes], nn.Module]
MakeSelector: TypeAlias = Callable[[Scenes, nn.Module], Selector]
"""Gets the predictor too, for selectors that ask it where it is unsure."""


@final
@dataclass(frozen=True)
class Contender:
    """What takes part in a comparison.

    Both functions are called once per budget and seed, under that seed; importable by name, they
    also work in other processes.

    Args:
        name: unique in its comparison; a part of file names.
        selector: makes the selector from the training scenes and the new predictor.
        predictor: makes a new predictor from the training scenes.
        rounds: in how many rounds, or in rounds of which shares, it buys.
        oracle: score it with `evaluate_oracle` in place of its selector: headroom, not a method.
    """

    name: str
    selector: MakeSelector
    predictor: MakePredictor
    rounds: int | tuple[float, ...] = 1
    oracle: bool = False


def contest(
    contender: Contender,
    scenes: Scenes,
    test: Scenes,
    k: int | None,
    *,
    weight: float | None = None,
    recipe: PixelRecipe | None = None,
    seed: int = 0,
    checkpoint: Path | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Train a contender's predictor for its selector, and score both: one cell of a comparison.

    Args:
        contender: what is made, trained and scored.
        scenes: to train on.
        test: to score on.
        k: pixels per picture; with `weight` only those of a second figure, by the best logits.
        weight: λ instead of k in the training.
        recipe: how long and how fast.
        seed: of the weights, the training and all draws.
        checkpoint: as for `train`.
        progress: as for `train`.

    Returns:
        JSON values: contender, k, weight, seed, `evaluation`, `history` and `seconds`. With
        `weight` the evaluation is of what is bought without a budget, and `held`, where k is
        given too, of exactly k.
    """
    with seeded(seed, "start", contender.name):
        predictor = contender.predictor(scenes)
        selector = contender.selector(scenes, predictor)
    trained = train(
        selector, predictor, scenes, None if weight is not None else k, weight=weight,
        recipe=recipe, rounds=contender.rounds, seed=seed, checkpoint=checkpoint, progress=progress,
    )  # fmt: skip
    rounds = contender.rounds
    free = None if weight is not None else k
    if contender.oracle and free is not None:
        balance = (recipe or PixelRecipe()).balance
        found = evaluate_oracle(predictor, test, free, balance=balance, seed=seed)
    else:
        found = evaluate(selector, predictor, test, free, rounds=rounds, seed=seed)
    cell = {
        "contender": contender.name,
        "oracle": contender.oracle,
        "k": k,
        "weight": weight,
        "seed": seed,
        "evaluation": found.as_json(),
        "history": trained.history,
        "seconds": trained.seconds,
    }
    if weight is not None and k is not None:
        held = evaluate(selector, predictor, test, k, rounds=rounds, seed=seed)
        cell["held"] = held.as_json()
    return cell
