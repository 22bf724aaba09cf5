"""Recording what the stochastic layers of a model emitted, without state on the layers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from sfumato.nn.base import StochasticModule
from sfumato.nn.weights.base import BayesianModule
from sfumato.noise import Params


@final
class Recording:
    """What each stochastic layer emitted in the calls made inside `sf.record`.

    Every property maps the layer's name in the model (its class name if it is the model) to a
    value; several calls of one layer are concatenated along the batch.
    """

    def __init__(self, names: dict[StochasticModule, str]) -> None:
        self._names = names
        self._calls: dict[StochasticModule, list[tuple[Params, Tensor]]] = {}
        self._kls: dict[BayesianModule, list[Tensor]] = {}

    def _observe(self, layer: StochasticModule, params: Params, sample: Tensor) -> None:
        self._calls.setdefault(layer, []).append((params, sample))

    def _observe_kl(self, layer: BayesianModule, kl: Tensor) -> None:
        self._kls.setdefault(layer, []).append(kl)

    @property
    def kl(self) -> Tensor:
        """The divergence of the weights from their priors, in nats (spec 1, eq. 6 and 12).

        Summed over the Bayesian layers that were called, each counted once however often it was
        called. It comes from the same pass as the draw and costs a fraction of `layer.kl()`.
        """
        parts = [torch.stack(calls).mean() for calls in self._kls.values()]
        return torch.stack(parts).sum() if parts else torch.zeros(())

    @property
    def params(self) -> dict[str, Params]:
        """The constrained parameters, for a location-scale law (location, scale)."""
        return {
            self._names[layer]: tuple(
                _joined(list(blocks)) for blocks in zip(*(p for p, _ in calls), strict=True)
            )
            for layer, calls in self._calls.items()
        }

    @property
    def samples(self) -> dict[str, Tensor]:
        """The samples that were passed on, before the cast to the layer's dtype."""
        return {self._names[k]: _joined([s for _, s in v]) for k, v in self._calls.items()}

    @property
    def log_scales(self) -> dict[str, Tensor]:
        """The logarithm of the scale, in nats: what `sf.objectives.max_entropy` takes."""
        laws = {self._names[layer]: layer.noise for layer in self._calls}
        return {name: laws[name].log_scale(p) for name, p in self.params.items()}

    @property
    def distributions(self) -> dict[str, Distribution]:
        """The laws of the samples, as torch distributions."""
        laws = {self._names[layer]: layer.noise for layer in self._calls}
        return {name: laws[name].distribution(p) for name, p in self.params.items()}


@contextmanager
def record(model: nn.Module) -> Iterator[Recording]:
    """Record the parameters and samples of the calls made inside the `with` block.

    Args:
        model: a stochastic layer or any network that contains some.

    Yields:
        The recording, filled as calls are made.

    Example:
        >>> import torch, sfumato as sf
        >>> layer = sf.nn.StochasticLinear(3, 2)
        >>> with sf.record(layer) as rec:
        ...     _ = layer(torch.zeros(5, 3))
        >>> rec.log_scales["StochasticLinear"].shape
        torch.Size([5, 2])
    """
    names = {
        module: name or type(module).__name__
        for name, module in model.named_modules()
        if isinstance(module, StochasticModule)
    }
    recording = Recording(names)
    bayesian = {m for m in model.modules() if isinstance(m, BayesianModule)}
    for layer in names:
        layer._observers = (*layer._observers, recording._observe)
    for layer in bayesian:
        layer._kl_observers = (*layer._kl_observers, recording._observe_kl)
    try:
        yield recording
    finally:
        for layer in bayesian:
            rest = tuple(o for o in layer._kl_observers if o != recording._observe_kl)
            layer._kl_observers = rest
            if not rest:
                del layer._kl_observers
        for layer in names:
            layer._observers = tuple(o for o in layer._observers if o != recording._observe)
            if not layer._observers:
                del layer._observers  # nothing of the recording stays on the layer


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)
