"""One function that trains any method on any network."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from torch import Tensor, nn

from sfumato.errors import SettingError
from sfumato.label_noise.checks import check_labels, check_records
from sfumato.label_noise.measured import Quality, quality
from sfumato.label_noise.methods import Job, Method, described, method_named
from sfumato.label_noise.methods.job import Losses, MakeNetwork
from sfumato.label_noise.noise import NoisyLabels
from sfumato.train import Progress, Recipe, silent

RECIPE = Recipe(epochs=10, batch_size=128, lr=3e-3)
"""Adam on a cosine, for all methods alike."""


@final
@dataclass(frozen=True, eq=False)
class Trained:
    """A network trained on labels of which some are wrong, and the figures.

    Args:
        model: in evaluation mode; call it under `sfumato.sampling(model, "mean")`.
        method: its settings as JSON values, its name among `METHODS` included where it has one.
        quality: on the test records after the last epoch; None without test records.
        losses: the mean loss of each epoch, stage by stage (spec 4, appendix B.4).
        matrix: the matrix of label mistakes that it was corrected with, where it was.
        matrix_error: the mean absolute difference to the true matrix, where both are known.
        dropped: record numbers that the last stage did not see, where some were left out.
        seconds: that the training took in this process.
    """

    model: nn.Module
    method: dict[str, Any]
    quality: Quality | None
    losses: dict[str, Losses] = field(default_factory=dict)
    matrix: Tensor | None = None
    matrix_error: float | None = None
    dropped: Tensor | None = None
    seconds: float = 0.0

    @property
    def accuracy(self) -> float | None:
        """On the test records, mean path, in [0, 1]."""
        return None if self.quality is None else self.quality.accuracy

    @property
    def calibration_error(self) -> float | None:
        """The expected calibration error on the test records, in [0, 1]."""
        return None if self.quality is None else self.quality.calibration_error

    def figures(self) -> dict[str, Any]:
        """All but the network, as JSON values."""
        return {
            "method": self.method,
            "accuracy": self.accuracy,
            "calibration_error": self.calibration_error,
            "losses": self.losses,
            "matrix": None if self.matrix is None else self.matrix.tolist(),
            "matrix_error": self.matrix_error,
            "dropped": None if self.dropped is None else len(self.dropped),
            "seconds": self.seconds,
        }


def train_with_noise(
    method: str | Method,
    make: MakeNetwork,
    inputs: Tensor,
    labels: Tensor | NoisyLabels,
    *,
    recipe: Recipe = RECIPE,
    seed: int = 0,
    layers: Sequence[str] | None = None,
    test: tuple[Tensor, Tensor] | None = None,
    folder: str | Path | None = None,
    progress: Progress = silent,
) -> Trained:
    """Train a network on labels of which some are wrong (spec 4 §4.3).

    What counts is the last epoch: without clean records nobody can choose a better one. The test
    records are looked at once, at the end, on the mean path.

    Args:
        method: one of `METHODS`, or a method of yours.
        make: makes a new plain network, `[B, ...]` to logits `[B, C]`.
        inputs: the records `[N, ...]`.
        labels: as given, `[N]`, int64; `NoisyLabels` also tell how right an estimated matrix is.
        recipe: of every stage; methods of two stages take twice the time.
        seed: of the weights, the order of records and all noise.
        layers: names of the hidden layers that become stochastic, get dropout or a second layer;
            all where None.
        test: records and clean labels.
        folder: keeps a checkpoint of each stage after each epoch; the same call goes on there.
        progress: called after every epoch with stage, epoch, epochs and loss.

    Returns:
        The network and its figures.

    Raises:
        DataError: labels of one class, not whole or below 0, another number than of records, NaN in
            the records, or a loss that became NaN.
        SettingError: an unknown method, a network where a function that makes one is needed, or
            fewer logits than classes.
        StoreError: the folder holds another training, or a damaged one.
        MissingDependency: a package of `sfumato[denoise]` is not installed.

    Example:
        >>> import torch
        >>> from sfumato.label_noise import PatternedFlips
        >>> from sfumato.train import Recipe, mlp
        >>> clean = torch.arange(120) % 2
        >>> x = torch.nn.functional.one_hot(clean, 4).float()
        >>> noisy = PatternedFlips(0.2).corrupt(clean, seed=0)
        >>> recipe = Recipe(epochs=5, min_steps=80, lr=1e-2)
        >>> trained = train_with_noise(
        ...     "se-snn", lambda: mlp((4,), 2, (16,)), x, noisy, recipe=recipe, test=(x, clean)
        ... )
        >>> trained.accuracy
        1.0
    """
    chosen = method_named(method) if isinstance(method, str) else method
    if not isinstance(chosen, Method):
        raise SettingError(f"a method is a name or a Method, not {type(method).__name__}")
    given = labels.labels if isinstance(labels, NoisyLabels) else labels
    check_labels(given)
    check_records(inputs, given)
    given = given.to(inputs.device).long()
    job = Job(
        make, inputs, given, recipe, seed, layers,
        None if folder is None else Path(folder), progress,
    )  # fmt: skip
    job.claim(chosen)
    begun = time.perf_counter()
    fitted = chosen.fit(job)
    seconds = time.perf_counter() - begun
    fitted.model.eval()
    name = {"name": method} if isinstance(method, str) else {}
    return Trained(
        fitted.model,
        {**name, **described(chosen)},
        None if test is None else quality(fitted.model, *test),
        job.losses,
        fitted.matrix,
        _matrix_error(fitted.matrix, labels),
        fitted.dropped,
        seconds,
    )


def _matrix_error(matrix: Tensor | None, labels: Tensor | NoisyLabels) -> float | None:
    if matrix is None or not isinstance(labels, NoisyLabels):
        return None
    if matrix.shape != labels.matrix.shape:
        return None
    return float((matrix.cpu() - labels.matrix).abs().mean())
