"""The cells of the table: wrong labels for a seed, and one training on them."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from torch import nn

from sfumato.data import load, take
from sfumato.errors import SettingError
from sfumato.label_noise import NoisyLabels
from sfumato.label_noise.outputs import log_spread
from sfumato.label_noise.reidentification import (
    Identities,
    ReidentificationNetwork,
    ReidentificationPlan,
    ReidentificationSplit,
    SimilarIdentities,
    embed,
    open_reidentification,
    reidentify,
    split_unseen,
    train_reidentification,
    virtual_identities,
)
from sfumato.label_noise.reidentification.folders import MARKET
from sfumato.label_noise.suspicion.detection import detect
from sfumato.train import Recipe

Backbone = Callable[[tuple[int, ...]], nn.Module]


@dataclass(frozen=True)
class Task:
    """What all cells of a table share.

    Args:
        config: of the table.
        source: where the data lies: Market-1501's folder, or pictures for virtual cameras.
        out: where networks and labels are kept; methods with the same first stage share it there.
    """

    config: dict[str, Any]
    source: str
    out: Path

    @property
    def real(self) -> bool:
        """Whether the data is a folder in Market-1501's layout."""
        return (Path(self.source).expanduser() / MARKET[0]).is_dir()

    def split(self, seed: int) -> ReidentificationSplit:
        """Training, query and gallery pictures of this seed; a real folder has its own."""
        config = self.config
        if self.real:
            size = tuple(config.get("size", (128, 64)))
            return open_reidentification(self.source, size=(size[0], size[1]), seed=seed)
        pictures = take(load(self.source), config["identities"], seed=seed).inputs
        seen = virtual_identities(
            pictures, cameras=config["cameras"], views=config["views"], seed=seed
        )
        return split_unseen(seen, config.get("share", 0.5), seed=seed)

    def trained(
        self, data: Identities, seed: int, method: Any, noisy: NoisyLabels | None
    ) -> ReidentificationNetwork:
        """A network of this method, on the labels as given."""
        config = self.config
        recipes = [Recipe(**config[stage]) for stage in ("first", "second")]
        margin, unit = config.get("margin", math.log(4)), config.get("unit")
        plan = ReidentificationPlan(recipes[0], recipes[1], config["weight"], margin, unit)
        return train_reidentification(
            partial(backbone_named(config.get("backbone")), data.shape),
            data,
            None if noisy is None else noisy.labels,
            method=method,
            plan=plan,
            seed=seed,
            folder=self._folder(seed),
        )

    def noisy(self, data: Identities, rate: float, seed: int) -> NoisyLabels | None:
        """The wrong labels that `corrupted` has made; None where none are wrong."""
        return NoisyLabels.load(self._place(rate, seed), data.labels) if rate else None

    def corrupted(self, data: Identities, rate: float, seed: int) -> NoisyLabels:
        """Make the wrong labels by the features of a network of the clean ones (spec 4 §4.3)."""
        clean = self.trained(data, seed, "parallel", None)
        noisy = SimilarIdentities(rate).corrupt(data.labels, embed(clean, data), seed=seed)
        noisy.save(self._place(rate, seed))
        return noisy

    def _folder(self, seed: int) -> Path:
        return self.out / "state" / f"seed-{seed}"

    def _place(self, rate: float, seed: int) -> Path:
        return self._folder(seed) / f"noise-{rate:g}"


def wrong_labels(task: Task, seed: int) -> dict[str, Any]:
    """Make the wrong labels of a seed, for all shares of them."""
    data = task.split(seed).train
    rates = [rate for rate in task.config["rates"] if rate]
    made = {f"{rate:g}": task.corrupted(data, rate, seed).rate for rate in rates}
    return {"wrong": made, "pictures": len(data), "identities": data.count}


def trained(task: Task, method: str, rate: float, seed: int) -> dict[str, Any]:
    """One training, and what its features find among identities that it never saw."""
    split = task.split(seed)
    noisy = task.noisy(split.train, rate, seed)
    network = task.trained(split.train, seed, method, noisy)
    found: dict[str, Any] = reidentify(network, split).figures()
    if method == "se-snn" and noisy is not None:
        found |= spread_of(network, split.train, noisy)
    return found


def spread_of(
    network: ReidentificationNetwork, data: Identities, noisy: NoisyLabels
) -> dict[str, float]:
    """The mean log σ of pictures with wrong and with right labels, and how well it tells them."""
    spread = log_spread(network, data.inputs).double()
    order = spread.argsort(descending=True, stable=True)
    return {
        "log_scale_wrong": float(spread[noisy.flipped].mean()),
        "log_scale_right": float(spread[~noisy.flipped].mean()),
        "auc_spread": detect(spread[order], noisy.flipped[order], 0).auc,
    }


def small_backbone(shape: tuple[int, ...]) -> nn.Module:
    """Two convolutions and a linear layer of 128 features."""
    channels, height, width = shape
    return nn.Sequential(
        nn.Conv2d(channels, 16, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * (height // 4) * (width // 4), 128), nn.ReLU(),
    )  # fmt: skip


def backbone_named(name: str | None) -> Backbone:
    """A function of yours that makes a backbone from the shape of a picture; the small one if None.

    Raises:
        SettingError: it is not written as `package.module:function`, or is not there.
    """
    if name is None:
        return small_backbone
    module, colon, function = name.partition(":")
    try:
        found: Any = getattr(importlib.import_module(module), function) if colon else None
    except (ImportError, AttributeError) as error:
        raise SettingError(f"there is no backbone {name!r}: {error}") from error
    if not callable(found):
        raise SettingError(f"a backbone is written package.module:function, not {name!r}")
    return cast(Backbone, found)
