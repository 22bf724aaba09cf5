"""The expectation over draws as one batched forward."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, final

import torch
from torch import Tensor, nn

from sfumato.errors import SettingError
from sfumato.nn.weights.base import BayesianModule
from sfumato.nn.weights.kernel import BayesianKernel
from sfumato.robustness.prefix import split

Average: TypeAlias = Literal["loss", "logits", "probabilities"]


@final
class ExpectedModel(nn.Module):
    """A classifier averaged over its own noise: records repeated along the batch, one forward.

    A stochastic layer draws for every record of a batch, so that `draws` copies of a record in one
    batch are `draws` independent samples, at the price of one large forward instead of `draws`
    small ones. The call gives

    - `"logits"`: 1/n Σ_d z_d,
    - `"probabilities"`: log 1/n Σ_d softmax(z_d), whose softmax is the averaged probability,
    - `"loss"`: logits too; it is for an attack, which averages the loss of every draw of `sample`.

    Weights of a Bayesian layer with the reparameterization estimator (also `sfumato.nn.bayesian`,
    and `estimator="auto"`, which may choose it) are drawn once for a whole batch: copies would
    share one draw. Where there is such a layer the draws are calls in a loop. `"flipout"` and
    `"local"` draw per record and run as one batch; flipout's copies share the size of one
    perturbation, under signs of their own: uncorrelated and of the right law, but not independent.
    A module of your own that draws once per call needs `loop=True`. In an `nn.Sequential`, what
    stands before the first layer that may draw is computed once for all draws.

    The mode of the modules is left alone: dropout draws where it is in training, per element.

    Args:
        model: from `[B, ...]` to logits `[B, C]`.
        draws: n. With 1, a call is a call of the model, to the bit (for logits).
        average: what is averaged.
        max_batch: the largest batch that the model is given; larger ones run in parts.
        loop: whether draws are calls of their own; found out from the layers when None.

    Raises:
        SettingError: draws or max_batch below 1, an unknown average; at a call, a model that does
            not give logits `[B, C]`.

    Example:
        >>> import torch, sfumato as sf
        >>> from sfumato.robustness import ExpectedModel
        >>> model = torch.nn.Sequential(sf.nn.StochasticLinear(8, 4), torch.nn.Linear(4, 3))
        >>> expected = ExpectedModel(model, draws=16)
        >>> expected(torch.zeros(5, 8)).shape, expected.sample(torch.zeros(5, 8)).shape
        (torch.Size([5, 3]), torch.Size([16, 5, 3]))
    """

    def __init__(
        self,
        model: nn.Module,
        draws: int = 16,
        *,
        average: Average = "logits",
        max_batch: int = 512,
        loop: bool | None = None,
    ) -> None:
        super().__init__()
        check_draws(draws, max_batch, average)
        self.model = model
        self.draws = draws
        self.average: Average = average
        self.max_batch = max_batch
        self.loop = loop
        self.training = model.training

    def forward(self, x: Tensor) -> Tensor:
        """Logits averaged over the draws.

        Args:
            x: records `[B, ...]`.

        Returns:
            `[B, C]`.
        """
        if self.draws == 1 and self.average != "probabilities":
            return self._run(self.model, x)
        return averaged(self.sample(x), self.average)

    def sample(self, x: Tensor) -> Tensor:
        """The logits of every draw.

        Args:
            x: records `[B, ...]`.

        Returns:
            `[draws, B, C]`.
        """
        if self.draws == 1:
            return self._run(self.model, x).unsqueeze(0)
        first, rest = split(self.model)
        h = x if first is None else _in_parts(first, x, self.max_batch)
        if self.loops:
            return torch.stack([self._run(rest, h) for _ in range(self.draws)])
        logits = self._run(rest, h.repeat(self.draws, *(1,) * (h.dim() - 1)))
        return logits.unflatten(0, (self.draws, len(x)))

    @property
    def loops(self) -> bool:
        """Whether the draws are calls of their own."""
        return draws_once_per_call(self.model) if self.loop is None else self.loop

    def _run(self, model: nn.Module, x: Tensor) -> Tensor:
        logits = _in_parts(model, x, self.max_batch)
        if not isinstance(logits, Tensor) or logits.dim() != 2 or len(logits) != len(x):
            found = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise SettingError(
                f"the model must give logits [{len(x)}, classes] for {len(x)} records, not "
                f"{found}: wrap it in a module that does"
            )
        return logits


def _in_parts(model: nn.Module, x: Tensor, size: int) -> Any:
    """What the model gives, in batches of at most `size`."""
    if len(x) <= size:
        return model(x)
    parts = [model(part) for part in x.split(size)]
    return torch.cat(parts) if isinstance(parts[0], Tensor) else parts[0]


def averaged(sample: Tensor, average: Average) -> Tensor:
    """Logits `[B, C]` of the draws `[draws, B, C]`, averaged."""
    if average == "probabilities":
        logs = sample.log_softmax(-1).logsumexp(0)
        return logs - torch.log(torch.tensor(float(len(sample)), device=logs.device))
    return sample.mean(0)


def draws_once_per_call(model: nn.Module) -> bool:
    """Whether a layer of `model` draws its weights once for the whole batch."""
    return any(
        isinstance(layer, BayesianModule)
        and layer.mode == "sample"
        and not (isinstance(layer, BayesianKernel) and layer.estimator in ("local", "flipout"))
        for layer in model.modules()
    )


def check_draws(draws: int, max_batch: int, average: str) -> None:
    """Raise a `SettingError` for a number below 1 or an unknown average."""
    for name, value in (("draws", draws), ("max_batch", max_batch)):
        if value < 1:
            raise SettingError(f"{name} must be at least 1, not {value}")
    if average not in ("loss", "logits", "probabilities"):
        raise SettingError(f"unknown average {average!r}: use 'loss', 'logits' or 'probabilities'")
