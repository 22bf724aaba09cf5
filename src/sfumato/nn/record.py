"""Recording what the stochastic layers of a model emitted, without state on the layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, final

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
        self._kls: dict[BayesianModule, Tensor | None] = {}

    def _observe(self, layer: StochasticModule, params: Params, sample: Tensor) -> None:
        if not _in_backward():
            self._calls.setdefault(layer, []).append((params, sample))

    def _observe_kl(self, layer: BayesianModule, kl: Tensor | None) -> None:
        if not _in_backward():
            self._kls[layer] = kl

    @property
    def kl(self) -> Tensor:
        """The divergence of the weights from their priors, in nats (spec 1, eq. 6 and 12).

        Summed over the Bayesian layers that were called, each counted once however often it was
        called. Where the weights and the prior are Gaussian and the weights were drawn, it comes
        from the same pass as the draw and costs a fraction of `layer.kl()`.
        """
        parts = [self._kl_of(layer, kl) for layer, kl in self._kls.items()]
        return torch.stack([p.to(parts[0]) for p in parts]).sum() if parts else torch.zeros(())

    def _kl_of(self, layer: BayesianModule, kl: Tensor | None) -> Tensor:
        learns = torch.is_grad_enabled() and any(p.requires_grad for p in layer.parameters())
        # A call under no_grad (reentrant checkpointing makes such calls) has no gradient to give.
        return layer.kl() if kl is None or learns > kl.requires_grad else kl

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

    Under activation checkpointing the backward pass belongs inside the block too; what it computes
    again is not recorded again.

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
    with ExitStack() as stack:
        # each observer knows its layer: what calls it may be a replica
        for layer in names:
            observer: Any = _Observer(recording._observe, layer)
            stack.enter_context(_listening(layer, "_observers", observer))
        for layer in bayesian:
            stack.enter_context(
                _listening(layer, "_kl_observers", partial(recording._observe_kl, layer))
            )
        yield recording


@final
@dataclass(frozen=True, eq=False)
class _Observer:
    """Passes on what a layer, or a replica of it, emitted."""

    tell: Callable[[StochasticModule, Params, Tensor], None]
    layer: StochasticModule

    def __call__(self, _: StochasticModule, params: Params, sample: Tensor) -> None:
        self.tell(self.layer, params, sample)


@contextmanager
def _listening(layer: nn.Module, name: str, observer: Any) -> Iterator[None]:
    """Add an observer to the tuple `name` of the layer, for a while."""
    setattr(layer, name, (*getattr(layer, name), observer))
    try:
        yield
    finally:
        rest = tuple(o for o in getattr(layer, name) if o is not observer)
        setattr(layer, name, rest)
        if not rest:
            delattr(layer, name)  # nothing of the recording stays on the layer


def _in_backward() -> bool:
    """Whether autograd is at work: a checkpointed segment is being computed again."""
    compiling = torch.compiler.is_compiling()
    return not compiling and torch._C._current_graph_task_id() != -1


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)
