"""A network with a gate after every hidden layer."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, final

import torch
from torch import Tensor, fx, nn

from sfumato.compression.gates.gate import VIBGate
from sfumato.compression.gates.places import Place, misfit, places
from sfumato.compression.store.plain import check_plain
from sfumato.errors import SettingError


@final
class GatedNetwork(nn.Module):
    """A network whose hidden activations pass gates; made by `gated`.

    Under `sf.sampling(network, "mean")` the gates are their means, and closed ones are 0.

    Args:
        plain: the network itself.
        graph: its trace.
        input_shape: of one record.
        after: where the gates stand, by the name of the layer before each.
        positions: H x W there.
        threshold: of α, at which a gate is closed.
    """

    def __init__(
        self,
        plain: nn.Module,
        graph: fx.Graph,
        input_shape: Sequence[int],
        after: dict[str, Place],
        positions: dict[str, int],
        threshold: float,
    ) -> None:
        super().__init__()
        self.plain = plain
        self.input_shape = tuple(input_shape)
        self.places = dict(after)
        # a name in a ModuleDict may hold no dot
        self.gated_layers = {f"gate{number}": name for number, name in enumerate(after)}
        self.gates = nn.ModuleDict(
            {
                key: VIBGate(after[name].channels, positions[name], threshold)
                for key, name in self.gated_layers.items()
            }
        )
        self._graph = graph
        self._keys = {after[name].node: key for key, name in self.gated_layers.items()}

    def forward(self, x: Tensor) -> Any:
        """What the network gives for records `[B, ...]` whose activations pass the gates.

        Raises:
            DataError: an activation has another number of channels than its gate.
        """
        return _Run(self.plain, self._graph, self._pass).run(x)

    def gate(self, layer: str) -> VIBGate:
        """The gate after a layer.

        Raises:
            SettingError: there is none.
        """
        for key, name in self.gated_layers.items():
            if name == layer:
                found = self.gates[key]
                assert isinstance(found, VIBGate)
                return found
        raise SettingError(
            f"there is no gate after {layer!r}, but after {', '.join(self.gated_layers.values())}"
        )

    def _pass(self, node: str, value: Any) -> Any:
        key = self._keys.get(node)
        return value if key is None else self.gates[key](value)


@final
class _Run(fx.Interpreter):
    """Runs a trace, and hands every value to `each` with the name of its node."""

    def __init__(self, module: nn.Module, graph: fx.Graph, each: Callable[[str, Any], Any]) -> None:
        super().__init__(module, graph=graph)
        self._each = each

    def run_node(self, n: fx.Node) -> Any:
        return self._each(n.name, super().run_node(n))

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if _takes_training(target):  # the trace holds what it was while tracing
            bound = inspect.signature(target).bind(*args, **kwargs)
            bound.arguments["training"] = self.module.training
            return target(*bound.args, **bound.kwargs)
        return super().call_function(target, args, kwargs)


@cache
def _takes_training(target: Any) -> bool:
    if getattr(target, "__module__", "") != "torch.nn.functional":
        return False
    try:
        return "training" in inspect.signature(target).parameters
    except ValueError:  # of a function that is not written in Python
        return False


def gated(
    model: nn.Module,
    input_shape: Sequence[int],
    names: Sequence[str] | None = None,
    *,
    threshold: float = 1.0,
) -> GatedNetwork:
    """A copy of a network with a Gaussian gate after every hidden layer (Dai et al. 2018).

    A gate stands after the layer's batch norm and activation. Train it with `VIBLoss`, then take
    the closed channels away with `remove_gated`.

    Args:
        model: a plain network that torch.fx can trace.
        input_shape: of one record.
        names: the layers to gate; by default every linear or convolutional layer whose channels
            go into other such layers and nowhere else. A residual sum is elsewhere: a channel in it
            belongs to several layers.
        threshold: of α = σ²/μ², at which a gate is closed.

    Returns:
        The gated network, which starts as good as `model`.

    Raises:
        SettingError: the network cannot be traced or cannot take such records, a layer that is
            named cannot be gated, or there is none to gate.

    Example:
        >>> import sfumato as sf
        >>> from sfumato.compression.gates import gated
        >>> gated(sf.train.small_cnn((1, 8, 8), 10), (1, 8, 8)).gated_layers
        {'gate0': '0', 'gate1': '3', 'gate2': '7'}
    """
    check_plain(model, "gated")
    plain = copy.deepcopy(model)
    graph = _traced(plain)
    found, refused = places(plain, graph)
    shapes = _shapes(plain, graph, input_shape)
    for name, place in list(found.items()):
        if reason := misfit(place, graph, dict(plain.named_modules()), shapes):
            refused[name] = reason
            del found[name]
    chosen = _chosen(found, refused, names)
    positions = {name: shapes[place.node][2:].numel() for name, place in chosen.items()}
    return GatedNetwork(plain, graph, input_shape, chosen, positions, threshold)


def _chosen(
    found: dict[str, Place], refused: dict[str, str], names: Sequence[str] | None
) -> dict[str, Place]:
    if names is None:
        if not found:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in refused.items())
            raise SettingError(f"there is no layer that can be gated. {reasons}".rstrip(". "))
        return found
    for name in names:
        if name not in found:
            reason = refused.get(name, "there is no linear or convolutional layer of that name")
            raise SettingError(f"{name!r} cannot be gated: {reason}")
    if not names:
        raise SettingError("names is empty: leave it out, and every hidden layer is gated")
    return {name: found[name] for name in dict.fromkeys(names)}


def _traced(model: nn.Module) -> fx.Graph:
    try:
        return fx.Tracer().trace(model)
    except Exception as error:  # whatever the user's forward does to a proxy
        raise SettingError(
            "gates can only be put into a network that torch.fx can trace, and this one cannot be: "
            f"{' '.join(str(error).split())[:300]}"
        ) from error


def _shapes(model: nn.Module, graph: fx.Graph, input_shape: Sequence[int]) -> dict[str, torch.Size]:
    """The shape of every tensor in the graph, for one record."""
    shapes: dict[str, torch.Size] = {}

    def note(node: str, value: Any) -> Any:
        if isinstance(value, Tensor):
            shapes[node] = value.shape
        return value

    first = next((p for p in model.parameters() if p.is_floating_point()), torch.zeros(()))
    x = torch.zeros(1, *input_shape, dtype=first.dtype, device=first.device)
    modes = {part: part.training for part in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            _Run(model, graph, note).run(x)
    except Exception as error:  # whatever the user's forward raises
        raise SettingError(
            f"the network cannot take records of shape {tuple(input_shape)}: "
            f"{' '.join(str(error).split())[:300]}"
        ) from error
    finally:
        for part, training in modes.items():
            part.training = training
    return shapes
