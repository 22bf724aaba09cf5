"""A classifier behind Gaussian noise, its predictions and certificates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import final

import torch
from torch import Tensor, nn

from sfumato.errors import DataError, SettingError
from sfumato.nn.mode import sampling
from sfumato.nn.weights.base import BayesianModule
from sfumato.nn.weights.kernel import BayesianKernel
from sfumato.robustness.binomial import sign_test
from sfumato.robustness.smoothing.certificates import ABSTAIN, Certificates
from sfumato.robustness.smoothing.certify import Draws, Smoothing, certified
from sfumato.robustness.smoothing.front import GaussianFront
from sfumato.train.loop import Progress, silent


@final
class Smoothed(Smoothing):
    """g(x) = the class that f(x + σ ε) gives most often, ε ~ N(0, 1) (Cohen et al. 2019, eq. 1).

    As a module it is one draw, f(x + σ ε): train it with `sf.train.train_classifier`, and with the
    cross-entropy that is the published recipe. With `ConsistencyLoss` its draws agree more often,
    and certificates grow. f may be stochastic itself: the theorem holds for it as well.

    Args:
        model: f, from `[B, ...]` to logits `[B, C]`.
        sigma: σ, in units of the records. A larger one certifies larger radii and costs accuracy.

    Raises:
        SettingError: σ is not a number above 0.

    Example:
        >>> import torch, sfumato as sf
        >>> train, test = sf.data.digits()
        >>> model = Smoothed(sf.train.mlp(train.shape, 10, (32,)), sigma=0.25)
        >>> recipe = sf.train.Recipe(epochs=3, min_steps=0)
        >>> sf.train.train_classifier(model, train.inputs, train.labels, recipe, seed=0)
        >>> found = model.certify(test.inputs[:4], test.labels[:4], n0=20, n=200)
        >>> found.radii.shape
        torch.Size([4])
    """

    def __init__(self, model: nn.Module, sigma: float) -> None:
        super().__init__()
        self.noise = GaussianFront(sigma)
        self.model = model

    @property
    def sigma(self) -> float:
        """σ, in units of the records."""
        return self.noise.sigma

    def forward(self, x: Tensor) -> Tensor:
        """Logits `[B, C]` of one draw for each record of `x` `[B, ...]`."""
        return self.model(self.noise(x))

    def counts(self, x: Tensor, n: int, *, max_batch: int = 4096) -> Tensor:
        """How many of `n` draws give each class, `[B, C]`, int64.

        The network runs in evaluation mode, and noise is drawn whatever `sf.sampling` says.

        Args:
            x: records, `[B, ...]`.
            n: draws for each record.
            max_batch: records in one pass.

        Raises:
            SettingError: fewer than one draw.
            DataError: the model gives NaN or infinity.
        """
        if n < 1 or max_batch < 1:
            raise SettingError(f"n and max_batch must be at least 1, not {n} and {max_batch}")
        with _ready(self):
            return torch.stack([self._count(one, n, max_batch) for one in x])

    def _count(self, one: Tensor, n: int, max_batch: int) -> Tensor:
        size = 1 if _shares_draws(self.model) else max_batch
        total = torch.zeros(0, dtype=torch.int64)
        for first in range(0, n, size):
            copies = one.expand(min(size, n - first), *one.shape)
            logits = self.model(self.noise(copies))
            if not bool(logits.isfinite().all()):
                raise DataError("the model gives NaN or infinity under noise: nothing can be said")
            found = logits.argmax(1).bincount(minlength=logits.shape[1]).cpu()
            total = found if first == 0 else total + found
        return total

    def predict(
        self, x: Tensor, n: int = 100, alpha: float = 0.001, *, max_batch: int = 4096
    ) -> Tensor:
        """The class that is most likely under noise, or -1: abstain (Cohen et al. 2019, PREDICT).

        Where it does not abstain it gives another class than g(x) with probability at most alpha,
        for each record.

        Args:
            x: records, `[B, ...]`.
            n: draws for each record.
            alpha: the probability of a wrong answer.
            max_batch: records in one pass.

        Returns:
            `[B]`, int64.
        """
        if not 0 < alpha < 1:
            raise SettingError(f"alpha must lie inside (0, 1), not {alpha}")
        found = []
        for counts in self.counts(x, n, max_batch=max_batch):
            top = counts.topk(min(2, len(counts)))
            second = int(top.values[1]) if len(counts) > 1 else 0
            sure = sign_test(int(top.values[0]), second) <= alpha
            found.append(int(top.indices[0]) if sure else ABSTAIN)
        return torch.tensor(found, dtype=torch.int64)

    def certify(
        self,
        x: Tensor,
        labels: Tensor,
        n0: int = 100,
        n: int = 10_000,
        alpha: float = 0.001,
        *,
        seed: int = 0,
        max_batch: int = 4096,
        path: str | Path | None = None,
        progress: Progress = silent,
    ) -> Certificates:
        """An L2 radius for each record within which g does not change (Cohen et al. 2019, CERTIFY).

        `n0` draws guess the class. Of `n` others, the share that gives it bounds its probability
        from below (Clopper and Pearson), p; the radius is σ Φ⁻¹(p) where p > ½. Each record's
        statement is false with probability at most `alpha`.

        Args:
            x: records, `[N, ...]`.
            labels: `[N]`.
            n0: draws for the guess.
            n: draws for the bound; it caps the radius at σ Φ⁻¹(alpha^(1/n)).
            alpha: probability of a false statement, for each record.
            seed: of the draws.
            max_batch: records in one pass.
            path: a JSON file that keeps what is done; a run that was interrupted goes on from it.
            progress: called as records are done.

        Raises:
            DataError: no records, or not as many labels; the model gives NaN.
            SettingError: a number of draws below 1, or alpha outside (0, 1).
            StoreError: the file is damaged or of another run.
        """
        draws = Draws(n0, n, alpha, seed, max_batch)
        return certified(self, x, labels, draws, None if path is None else Path(path), progress)


def _shares_draws(model: nn.Module) -> bool:
    """Whether records of one batch see weights that depend on each other.

    Counts of such draws vary more than a binomial, and the bound would be false.
    """
    return any(
        isinstance(layer, BayesianModule)
        and layer.mode == "sample"
        and not (isinstance(layer, BayesianKernel) and layer.estimator == "local")
        for layer in model.modules()
    )


@contextmanager
def _ready(smoothed: Smoothed) -> Iterator[None]:
    """Evaluation mode, noise on and no gradients inside the block."""
    modes = [(module, module.training) for module in smoothed.modules()]
    smoothed.eval()
    try:
        with torch.no_grad(), sampling(smoothed.noise, "sample"):
            yield
    finally:
        for module, mode in modes:
            module.training = mode
