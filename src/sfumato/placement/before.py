"""The first embodiment: noise before the whole network."""

from __future__ import annotations

from typing import Any, final

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from sfumato.nn.base import SamplingModule, StochasticModule


@final
class Before(nn.Module):
    """x -> L -> S_L -> N (spec 1 §2.1 and spec 3 §5.1)."""

    def __init__(self, network: nn.Module, noise: StochasticModule, layers: nn.Module) -> None:
        super().__init__()
        self.layers, self.noise, self.network = layers, noise, network

    def forward(self, x: Tensor, *selection: Any) -> Any:
        """The network's output on noisy records; a conditional S_L takes its selection too."""
        inner = output_of(self.layers, x)
        return self.network(output_of(self.noise, inner, *selection))


def before(model: nn.Module, noise: StochasticModule, layers: nn.Module | None = None) -> Before:
    """Put a stochastic layer, and regular layers before it, in front of a network.

    Records are whatever the layers take: vectors `[B, F]`, sequences `[B, T, F]`, pictures. Of a
    recurrent layer (torch's or ours) the output sequence goes on; its state is dropped.

    Args:
        model: the network N; it is used, not copied.
        noise: the stochastic or conditional layer S_L.
        layers: the regular layers L; none when it is None.

    Returns:
        A module whose call takes `x` and, where S_L is conditional, its selection.

    Example:
        >>> import torch, sfumato as sf
        >>> noisy = sf.placement.before(torch.nn.Linear(4, 2), sf.nn.AdditiveNoise((4,)))
        >>> noisy(torch.zeros(3, 4)).shape
        torch.Size([3, 2])
    """
    return Before(model, noise, nn.Identity() if layers is None else layers)


def output_of(module: nn.Module, *inputs: Any) -> Any:
    """What goes on from `module`: of a recurrent layer's (output, state) the output alone."""
    output = module(*inputs)
    pair = isinstance(output, tuple) and not isinstance(output, PackedSequence)
    return output[0] if pair and isinstance(module, (nn.RNNBase, SamplingModule)) else output
