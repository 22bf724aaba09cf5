"""Training for re-identification with wrong identity labels, in two stages (spec 4 appendix A)."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, final, get_args

from torch import Tensor, nn

from sfumato.errors import SettingError
from sfumato.files import prepare_folder
from sfumato.label_noise.checks import check_labels, check_records, fingerprint
from sfumato.label_noise.losses import BootstrapHard, BootstrapSoft, Forward, estimate_matrix
from sfumato.label_noise.methods.job import claim
from sfumato.label_noise.reidentification.identities import Identities
from sfumato.label_noise.reidentification.network import (
    Extension,
    ReidentificationNetwork,
    extend,
)
from sfumato.train import (
    BatchLoss,
    MaxEntropyLoss,
    Progress,
    Recipe,
    cross_entropy,
    derive,
    seeded,
    silent,
    train_classifier,
)
from sfumato.train.identity import tag_of

ReidentificationMethod = Literal[
    "parallel", "bootstrap-hard", "bootstrap-soft", "forward-argmax", "dropout", "se-snn"
]
REIDENTIFICATION_METHODS: tuple[ReidentificationMethod, ...] = get_args(ReidentificationMethod)
"""The rows of spec 4 table 4 but CleanNet, which needs labels that somebody has verified, and
dropout as a control."""
EXTENSIONS: dict[ReidentificationMethod, Extension] = {
    "se-snn": "stochastic",
    "dropout": "dropout",
}


@final
@dataclass(frozen=True)
class ReidentificationPlan:
    """How long both stages are and what the stochastic unit is asked for.

    Spec 4 appendix A fine-tunes ResNet-50 for 60,000 and 20,000 iterations of 32 pictures, Adam at
    3.5e-4 and then 5e-4, which it calls lower. The defaults are for small networks from scratch.

    Args:
        first: the whole network.
        second: the last unit and the classifier alone.
        weight: ω of max-entropy, 1e-2 in the paper.
        margin: b in nats, log 4 as in appendix B.1.
        unit: name of the backbone's last unit; its last linear or convolutional layer when None.
    """

    first: Recipe = field(default_factory=lambda: Recipe(epochs=20, batch_size=64))
    second: Recipe = field(default_factory=lambda: Recipe(epochs=7, batch_size=64, lr=5e-4))
    weight: float = 1e-2
    margin: float = math.log(4)
    unit: str | None = None


def train_reidentification(
    backbone: Callable[[], nn.Module],
    data: Identities,
    labels: Tensor | None = None,
    *,
    method: ReidentificationMethod = "se-snn",
    plan: ReidentificationPlan | None = None,
    seed: int = 0,
    folder: str | Path | None = None,
    progress: Progress = silent,
) -> ReidentificationNetwork:
    """Train a network whose features tell identities apart (spec 4 §4.3 and appendix A).

    Stage 1 trains backbone and classifier with the method's loss; stage 2 extends the last unit
    and trains it and the classifier alone:

    - `"se-snn"`: the unit becomes stochastic, under the cross-entropy and max-entropy over samples
      (eq. 6),
    - `"parallel"`: the baseline of equal size, a second layer beside the unit; so have
    - `"bootstrap-hard"` and `"bootstrap-soft"` (Reed et al. 2015), and
    - `"forward-argmax"`, which trains stage 1 once more behind the matrix of label mistakes, taken
      at the arg-max of each identity (Patrini et al. 2017),
    - `"dropout"`: the control, dropout 0.5 behind the unit.

    Args:
        backbone: makes a backbone with fresh, or with pre-trained, weights; see
            `ReidentificationNetwork`.
        data: the training pictures.
        labels: `[N]`, as given, from 0; those of `data` when None.
        method: one of `REIDENTIFICATION_METHODS`.
        plan: how long and how fast.
        seed: of weights, orders and noise.
        folder: keeps the state after every epoch, so that the same call goes on. Methods that
            begin with the same first stage share it there.
        progress: called after every epoch with phase, epoch, epochs and loss.

    Returns:
        The trained network; `embed` and `reidentify` use its features on the mean path.

    Raises:
        SettingError: an unknown method, a backbone that gives no features, or no such unit.
        DataError: labels that do not fit the pictures, or a loss that became NaN.
        StoreError: the folder holds a run with another plan, network or other pictures.
    """
    if method not in REIDENTIFICATION_METHODS:
        known = ", ".join(REIDENTIFICATION_METHODS)
        raise SettingError(f"unknown method {method!r}: use one of {known}")
    plan = plan or ReidentificationPlan()
    labels = data.labels if labels is None else labels
    classes = check_labels(labels)
    check_records(data.inputs, labels)
    labels = labels.to(data.inputs.device).long()
    with seeded(seed, "network"):
        fresh = ReidentificationNetwork(backbone(), data.shape, max(classes, data.count))
    place = None
    if folder is not None:  # other labels are another run
        place = prepare_folder(Path(folder) / f"labels-{fingerprint(labels)[:12]}")
        with seeded("identity"):
            network = tag_of(backbone())  # with its weights: they may be pre-trained
        claim(place / "data.json", {"pictures": tag_of(data.inputs), "network": network})
        claim(place / f"{method}.json", _second(plan, method))
    run = _Run(data.inputs, labels, seed, place, method, progress)
    loss = _losses().get(method)
    shared = loss is None  # methods of the same first stage share its checkpoint
    loss = loss or cross_entropy
    network = run.trained(copy.deepcopy(fresh), plan.first, loss, "stage 1", shared=shared)
    if method == "forward-argmax":
        loss = Forward(estimate_matrix(network, data.inputs, "argmax"))
        network = run.trained(fresh, plan.first, loss, "stage 1, corrected")
    if method == "se-snn":
        loss = MaxEntropyLoss(plan.weight, plan.margin, "sample")
    with seeded(seed, "extension"):
        network = extend(network, EXTENSIONS.get(method, "parallel"), plan.unit)
    return run.trained(network, plan.second, loss, "stage 2").requires_grad_(True)


def _second(plan: ReidentificationPlan, method: str) -> dict[str, Any]:
    """What the second stage depends on, beside its recipe."""
    entropy = {"weight": plan.weight, "margin": plan.margin} if method == "se-snn" else {}
    return {"unit": plan.unit, **entropy}


def _losses() -> dict[str, BatchLoss]:
    return {"bootstrap-hard": BootstrapHard(), "bootstrap-soft": BootstrapSoft()}


@final
@dataclass(frozen=True)
class _Run:
    """What all stages of one training share."""

    inputs: Tensor
    labels: Tensor
    seed: int
    folder: Path | None
    method: str
    progress: Progress

    def trained(
        self,
        network: ReidentificationNetwork,
        recipe: Recipe,
        loss: BatchLoss,
        phase: str,
        *,
        shared: bool = False,
    ) -> ReidentificationNetwork:
        checkpoint = None
        if self.folder is not None:
            name = ("" if shared else f"{self.method} ") + phase.replace(",", "")
            checkpoint = prepare_folder(self.folder) / f"{name.replace(' ', '-')}.checkpoint"
        train_classifier(
            network,
            self.inputs,
            self.labels,
            recipe,
            seed=derive(self.seed, phase),
            loss=loss,
            checkpoint=checkpoint,
            progress=lambda event: self.progress({"phase": phase, **event}),
        )
        return network
