"""One cell of `sfumato pixels evaluate --run`: what was trained before, on other pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sfumato.cli.pixels.kept import load_kept
from sfumato.errors import DataError
from sfumato.pixels.evaluation import evaluate
from sfumato.pixels.scenes import Scenes


def score_cell(source: Path, seed: int, k: int, test: Scenes, predictor: str) -> dict[str, Any]:
    """Score a selector and its predictor that a run has kept.

    Raises:
        DataError: the pictures have another size or number of channels.
        StoreError: a file is missing or damaged.
    """
    kept = load_kept(source, predictor)
    if kept.selector.channels != test.channels:
        raise DataError(
            f"the pictures of {test.name} have {test.channels} channels, and those that the run "
            f"was trained on have {kept.selector.channels}"
        )
    price = kept.weight
    free = None if price is not None else k
    found = evaluate(kept.selector, kept.predictor, test, free, rounds=kept.rounds, seed=seed)
    cell = {
        "contender": kept.name,
        "oracle": False,
        "k": k,
        "weight": price,
        "seed": seed,
        "evaluation": found.as_json(),
        "loss": None,
        "seconds": 0.0,
    }
    if price is not None:
        held = evaluate(kept.selector, kept.predictor, test, k, rounds=kept.rounds, seed=seed)
        cell["held"] = held.as_json()
    return cell
