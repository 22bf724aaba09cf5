"""Certifying record after record, so that an interrupted run goes on."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias, final

import torch
from torch import Tensor, nn

from sfumato.errors import DataError, SettingError, StoreError
from sfumato.files import read_json, write_json
from sfumato.robustness.binomial import lower_bound
from sfumato.robustness.evaluation.store import fingerprint
from sfumato.robustness.smoothing.certificates import ABSTAIN, Certificates
from sfumato.train.loop import Progress
from sfumato.train.seed import seeded

Found: TypeAlias = "tuple[int, float]"
EVERY = 32
"""Records between two writes of the file."""


class Smoothing(nn.Module, ABC):
    """Abstract: a smoothed classifier, as far as certifying needs to know it."""

    @property
    @abstractmethod
    def sigma(self) -> float:
        """The scale of its noise."""

    @abstractmethod
    def counts(self, x: Tensor, n: int, *, max_batch: int = 4096) -> Tensor:
        """How many of `n` draws give each class, `[B, C]`, int64."""


@final
@dataclass(frozen=True)
class Draws:
    """How many draws, for which confidence.

    Raises:
        SettingError: a number below 1, or alpha outside (0, 1).
    """

    n0: int
    n: int
    alpha: float
    seed: int
    max_batch: int

    def __post_init__(self) -> None:
        if min(self.n0, self.n, self.max_batch) < 1:
            raise SettingError(
                f"n0, n and max_batch must be at least 1, not {self.n0}, {self.n}, {self.max_batch}"
            )
        if not 0 < self.alpha < 1:
            raise SettingError(f"alpha must lie inside (0, 1), not {self.alpha}")


def certified(
    smoothed: Smoothing,
    x: Tensor,
    labels: Tensor,
    draws: Draws,
    path: Path | None,
    progress: Progress,
) -> Certificates:
    """See `Smoothed.certify`."""
    if len(x) == 0 or labels.shape != (len(x),):
        raise DataError(f"{len(x)} records with labels {list(labels.shape)} cannot be certified")
    tag = _tag(smoothed, x, draws)
    found = _kept(path, tag)
    written = len(found)
    try:
        for at in range(len(found), len(x)):
            with seeded(draws.seed, "certify", at):
                found.append(certificate(smoothed, x[at], draws))
            progress({"epoch": at + 1, "epochs": len(x), "unit": "record"})
            if len(found) - written >= EVERY:
                _keep(path, tag, found)
                written = len(found)
    finally:  # Ctrl-C loses the record that it falls into
        if len(found) > written:
            _keep(path, tag, found)
    predictions, radii = zip(*found, strict=True)
    return Certificates(
        torch.tensor(predictions, dtype=torch.int64),
        torch.tensor(radii, dtype=torch.float64),
        labels.detach().cpu().to(torch.int64),
        smoothed.sigma,
        draws.n0,
        draws.n,
        draws.alpha,
    )


def certificate(smoothed: Smoothing, one: Tensor, draws: Draws) -> Found:
    """Prediction and radius of one record; (-1, 0) where nothing can be said."""
    record, size = one.unsqueeze(0), draws.max_batch
    # other draws than those of the bound: chosen by them, the class would look too likely
    guess = int(smoothed.counts(record, draws.n0, max_batch=size)[0].argmax())
    agreeing = int(smoothed.counts(record, draws.n, max_batch=size)[0, guess])
    p = lower_bound(agreeing, draws.n, draws.alpha)
    if p <= 0.5:
        return ABSTAIN, 0.0
    return guess, smoothed.sigma * float(torch.special.ndtri(torch.tensor(p, dtype=torch.float64)))


def _tag(smoothed: Smoothing, x: Tensor, draws: Draws) -> str:
    """Names the run: another model, other records or settings give another one."""
    settings = json.dumps(asdict(draws), sort_keys=True)
    return f"{settings} {fingerprint(smoothed, x)}"


def _kept(path: Path | None, tag: str) -> list[Found]:
    if path is None or not path.exists():
        return []
    content = read_json(path)
    try:
        if content["tag"] != tag:
            raise StoreError(
                f"{path} holds certificates of another model, other records or other settings: "
                "delete it, or use another path"
            )
        return [(int(prediction), float(radius)) for prediction, radius in content["records"]]
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path} is damaged ({error!r}): delete it and run again") from error


def _keep(path: Path | None, tag: str, found: list[Found]) -> None:
    if path is not None:
        write_json(path, {"tag": tag, "records": found})
