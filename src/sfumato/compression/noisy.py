"""The SE-SNN version of a network: its hidden layers made stochastic (spec 4 §2)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import fx, nn

from sfumato.compression.kernels import PLAIN, TRANSPOSED, TWINS
from sfumato.errors import SettingError
from sfumato.nn.base import GAUSSIAN
from sfumato.noise import NoiseLaw
from sfumato.placement.convert import convert


def stochastic(
    model: nn.Module, names: Sequence[str] | None = None, *, noise: NoiseLaw = GAUSSIAN
) -> nn.Module:
    """A copy whose hidden linear and convolutional layers are stochastic (spec 4, eq. 1).

    Each such layer emits μ, by the kernel that it has, and σ = softplus(linear), by a kernel of
    its own that starts as torch starts kernels. The last layer, the classifier, stays as it is:
    it is found by following the network, traced by torch.fx, back from what it gives out.

    Args:
        model: the plain network, trained or not.
        names: the layers to change, by name or by `sf.convert`'s patterns; all hidden ones when
            None.
        noise: the law, one with a location and a scale.

    Returns:
        The copy; `model` is left as it is.

    Raises:
        SettingError: torch.fx cannot trace the network and `names` is None; there is no hidden
            layer; a name that is not there, or of a layer that cannot be changed.

    Example:
        >>> import sfumato as sf
        >>> from sfumato.train import mlp
        >>> [type(layer).__name__ for layer in stochastic(mlp((4,), 2, (3,)))]
        ['Flatten', 'StochasticLinear', 'ReLU', 'Linear']
    """
    chosen = hidden_layers(model) if names is None else list(names)
    if not chosen:
        raise SettingError("the network has no hidden linear or convolutional layer")
    return convert(model, dict.fromkeys(chosen, partial(_noisy, noise=noise)))


def _noisy(plain: nn.Module, noise: NoiseLaw) -> nn.Module:
    twin: Any = TWINS.get(type(plain))
    if twin is None:
        raise SettingError(
            f"a {type(plain).__name__} cannot be made stochastic here: name layers that are "
            "nn.Linear or nn.Conv1d/2d/3d"
        )
    return twin.from_module(plain, noise)


def hidden_layers(model: nn.Module) -> list[str]:
    """Names of the linear and convolutional layers that another one follows.

    Raises:
        SettingError: torch.fx cannot trace the network.
    """
    modules = dict(model.named_modules())
    try:
        graph = fx.Tracer().trace(model)
    except Exception as error:  # whatever a forward may do that cannot be traced
        raise SettingError(
            f"torch.fx cannot trace this network ({error}): name the layers to change"
        ) from error
    called = {node.target for node in graph.nodes if node.op == "call_module"}
    last = _last(graph, modules)
    return [
        name
        for name, module in modules.items()
        if type(module) in PLAIN and name in called and name not in last
    ]


def _last(graph: fx.Graph, modules: dict[str, nn.Module]) -> set[str]:
    """The layers with a kernel whose values reach the output through no other one."""
    found: set[str] = set()
    seen: set[fx.Node] = set()
    stack = [node for node in graph.nodes if node.op == "output"]
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        kind = modules.get(str(node.target)) if node.op == "call_module" else None
        if isinstance(kind, (*PLAIN, *TRANSPOSED)):
            found.add(str(node.target))
        else:
            stack += node.all_input_nodes
    return found
