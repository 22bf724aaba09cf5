"""A cell of the table: one method trained on the labels of one seed."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from experiments.label_noise.points import Point
from experiments.label_noise.setup import Setup
from sfumato.errors import SettingError
from sfumato.label_noise import NoisyLabels, suspects, train_with_noise
from sfumato.label_noise.outputs import log_spread


def trained(setup: Setup, point: Point, seed: int) -> dict[str, Any]:
    """Train to the last epoch; accuracy, calibration, losses, and what suspicion finds."""
    noisy = setup.noisy(point.law, seed)
    found = train_with_noise(
        point.build(),
        setup.make,
        setup.inputs,
        noisy,
        recipe=setup.recipe,
        seed=seed,
        layers=point.layers,
        test=setup.tested(),
    )
    return {
        "accuracy": found.accuracy,
        "calibration_error": found.calibration_error,
        "matrix_error": found.matrix_error,
        "dropped": None if found.dropped is None else len(found.dropped),
        "wrong": noisy.rate,
        "losses": found.losses,
        "seconds": found.seconds,
        **suspicion(found.model, setup.inputs, noisy),
    }


def suspicion(model: nn.Module, inputs: Tensor, noisy: NoisyLabels) -> dict[str, Any]:
    """How well loss and spread tell wrong labels, and the mean log σ of right and wrong ones.

    What cannot be had is None: no label is wrong, or no layer is stochastic.
    """
    names = ("auc_loss", "precision_loss", "auc_spread", "log_scale_right", "log_scale_wrong")
    row: dict[str, Any] = dict.fromkeys((*names, "log_scale_std"))
    wrong = noisy.flipped
    if not 0 < int(wrong.sum()) < len(wrong):
        return row
    by_loss = suspects(model, inputs, noisy.labels, "loss").detection(noisy.clean)
    row |= {"auc_loss": by_loss.auc, "precision_loss": by_loss.average_precision}
    try:
        spread = log_spread(model, inputs).double()
    except SettingError:  # no stochastic layer
        return row
    ranking = suspects(model, inputs, noisy.labels, "spread")
    return row | {
        "auc_spread": ranking.detection(noisy.clean).auc,
        "log_scale_right": float(spread[~wrong].mean()),
        "log_scale_wrong": float(spread[wrong].mean()),
        "log_scale_std": float(spread.std()),
    }
