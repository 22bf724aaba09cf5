"""What is measured of a trained network; accuracies in [0, 1] as JSON values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import sfumato as sf
from experiments.robustness.setup import Setup
from sfumato.errors import SettingError
from sfumato.robustness import Smoothed, evaluate
from sfumato.robustness.attacks import FGSM, CarliniWagner, MarginPGD
from sfumato.robustness.evaluation.scoring import Scorer, is_stochastic

RESCORING = 32
LOSSES = ("cross_entropy", "margin")


def curve(
    model: nn.Module, setup: Setup, _: nn.Module | None, __: int, ___: Path, *,
    epsilons: Sequence[float], records: int, draws: int = 20,
) -> dict[str, Any]:  # fmt: skip
    """FGS over ε: on the cross-entropy, as in the paper, and on the margin between logits.

    Gradients are averaged over `draws`, and every example scored with fresh ones. The one step
    goes the same way at every ε, so that it is searched once: at ε = 1 it ends at a bound.
    """
    x, labels = setup.tested(records)
    found: dict[str, Any] = {}
    for loss in LOSSES:
        attack = FGSM(epsilon=1.0, loss=loss, draws=_draws(model, x, draws), max_batch=4096)
        way = (attack(model, x, labels) - x).sign()
        found[loss] = {
            f"{e:g}": _score(model, (x + e * way).clamp(0, 1), labels) for e in (0.0, *epsilons)
        }
    return found


def budget(
    model: nn.Module, setup: Setup, _: nn.Module | None, __: int, ___: Path, *,
    budgets: Sequence[float], records: int, draws: int = 8, steps: int = 60, searches: int = 4,
) -> dict[str, Any]:  # fmt: skip
    """Carlini and Wagner's attack in L2, cut to each budget; ascent on the margin beside it."""
    x, labels = setup.tested(records)
    count = _draws(model, x, draws)
    widest = float(x[0].numel()) ** 0.5  # no example is cut
    search = CarliniWagner(
        epsilon=widest, draws=count, steps=steps, searches=searches, max_batch=2048
    )
    smallest = search(model, x, labels)
    ascent = MarginPGD(
        epsilon=1.0, norm="l2", draws=count, steps=40, restarts=1, stop=False, max_batch=2048
    )
    found: dict[str, Any] = {"carlini-wagner": {}, "margin-pgd": {}}
    for e in budgets:
        cut = replace(search, epsilon=e).ball.project(smallest, x)
        found["carlini-wagner"][f"{e:g}"] = _score(model, cut, labels)
        near = ascent.at(e)(model, x, labels)
        found["margin-pgd"][f"{e:g}"] = _score(model, near, labels)
    lower = {e: min(one[e] for one in found.values()) for e in found["margin-pgd"]}
    return {**found, "lower": lower}


def suite(
    model: nn.Module, setup: Setup, source: nn.Module | None, seed: int, folder: Path, *,
    epsilons: Sequence[float], records: int, attacks: Any = "standard", draws: int = 8,
) -> dict[str, Any]:  # fmt: skip
    """The honest evaluation: the worst of a suite for each record, and the verdict."""
    x, labels = setup.tested(records)
    report = evaluate(
        model, x, labels,
        epsilon=epsilons,
        attacks=attacks,
        undefended=source,
        draws=draws,
        prediction="averaged" if isinstance(model, Smoothed) else "sampled",
        max_batch=2048,
        seed=seed,
        folder=folder,
        progress=lambda event: print(f"  {folder.name}: {event['cell']}", flush=True),
    )  # fmt: skip
    front = report.prediction
    return {
        "clean": report.clean[front].mean,
        "worst": {f"{e:g}": share.mean for e, share in report.worst.items()},
        "masked": float(report.verdict == "gradient masking"),
        "unsettled": float(report.verdict == "too few records to tell"),
        "reasons": list(report.reasons),
        "strongest": {f"{level.epsilon:g}": level.strongest for level in report.levels},
        "attacks": {
            f"{level.epsilon:g}": {
                f"{row.name}, {row.target}": row.accuracy[front].mean
                for row in level.attacks
                if row.accuracy
            }
            for level in report.levels
        },
    }


def certificate(
    model: nn.Module, setup: Setup, _: nn.Module | None, seed: int, folder: Path, *,
    radii: Sequence[float], records: int, n: int = 10_000, n0: int = 100, alpha: float = 0.001,
) -> dict[str, Any]:  # fmt: skip
    """Certified accuracy over the L2 radius."""
    if not isinstance(model, Smoothed):
        raise SettingError("only smoothed networks are certified: leave 'certificate' out")
    x, labels = setup.tested(records)
    path = folder.with_name(folder.name + ".json")
    found = model.certify(x, labels, n0=n0, n=n, alpha=alpha, seed=seed, max_batch=2048, path=path)
    return {
        "certified": {f"{r:g}": found.accuracy(r) for r in radii},
        "abstained": found.abstained,
        "radius": found.average_radius,
        "largest": found.largest,
    }


def noise(
    model: nn.Module, setup: Setup, _: nn.Module | None, __: int, ___: Path, *, records: int
) -> dict[str, Any]:
    """How large the noise is beside what it is added to: the median of σ/|μ|.

    Over records and neurons of all stochastic layers, without attack. Nothing where no layer is.
    """
    x, _labels = setup.tested(records)
    with torch.no_grad(), sf.record(model) as seen:
        model(x)
    ratios = [
        (params[1] / params[0].abs()).flatten()
        for params in seen.params.values()
        if len(params) > 1
    ]
    return {"ratio": float(torch.cat(ratios).median())} if ratios else {}


def _draws(model: nn.Module, x: Tensor, draws: int) -> int:
    return draws if is_stochastic(model, x) else 1


def _score(model: nn.Module, found: Tensor, labels: Tensor) -> float:
    """The accuracy of a single draw under fresh noise, on average over 32 draws."""
    stochastic = is_stochastic(model, found)
    scorer = Scorer(RESCORING, 16, 4096, stochastic, False)
    return float(scorer(model, found, labels)["sampled"].mean())


MEASURES: dict[str, Callable[..., dict[str, Any]]] = {
    "curve": curve,
    "budget": budget,
    "suite": suite,
    "certificate": certificate,
    "noise": noise,
}
