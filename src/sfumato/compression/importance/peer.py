"""torch-pruning's own measures of importance, in our loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, final

import torch
from torch import Tensor, nn

from sfumato.compression.collapsing import collapse
from sfumato.compression.importance.base import Importance, Normalise
from sfumato.compression.importance.scene import Scene
from sfumato.compression.wiring.analysis import dependency_graph, torch_pruning
from sfumato.errors import SettingError
from sfumato.train import Batch, cross_entropy

Peer: TypeAlias = Literal["magnitude", "taylor", "group-norm"]


@final
@dataclass(frozen=True)
class TorchPruning(Importance):
    """An importance of torch-pruning (Fang et al. 2023, "DepGraph"), on the mean path.

    - `"magnitude"`: the L2 norm of the first layer's filters,
    - `"taylor"`: |weight · gradient| over all layers that a neuron touches,
    - `"group-norm"`: the L2 norm over all layers that a neuron touches.

    Each divides by its mean over a group, torch-pruning's own normalisation, so that there is
    none of ours.

    Args:
        kind: which one.
        normalise: how layers are made comparable.
        per_cost: importance for each multiplication saved.

    Raises:
        SettingError: an unknown kind.
    """

    kind: Peer = "group-norm"
    normalise: Normalise = "none"
    per_cost: bool = False

    def __post_init__(self) -> None:
        if self.kind not in ("magnitude", "taylor", "group-norm"):
            raise SettingError(
                f"unknown kind {self.kind!r}: use 'magnitude', 'taylor' or 'group-norm'"
            )

    def score(self, scene: Scene) -> dict[str, Tensor]:
        """Scores of all neurons, at least 0.

        Raises:
            MissingDependency: torch-pruning is not installed.
        """
        plain = collapse(scene.model).eval()
        graph = dependency_graph(plain, scene.inputs[:2])
        if self.kind == "taylor":
            _learn(plain, scene)
        measure = self._measure()
        found: dict[str, Tensor] = {}
        for name, size in scene.wiring.sizes.items():
            values = measure(_whole(graph, plain, name))
            if values is None:
                raise SettingError(f"torch-pruning has no importance for the neurons of {name!r}")
            found[name] = values.detach().cpu().reshape(-1, size).mean(0)
        return found

    def _measure(self) -> Any:
        package = torch_pruning()
        if self.kind == "taylor":
            return package.importance.GroupTaylorImportance()
        reduction = "first" if self.kind == "magnitude" else "mean"
        return package.importance.GroupMagnitudeImportance(p=2, group_reduction=reduction)


def _whole(graph: Any, plain: nn.Module, name: str) -> Any:
    """torch-pruning's group of all neurons that the layer `name` makes."""
    layer = plain.get_submodule(name)
    pruner = graph.get_pruner_of_module(layer)
    return graph.get_pruning_group(
        layer, pruner.prune_out_channels, list(range(pruner.get_out_channels(layer)))
    )


def _learn(plain: nn.Module, scene: Scene) -> None:
    """Leave the gradients of the task's loss on the parameters."""
    with torch.enable_grad():
        for parameter in plain.parameters():
            parameter.requires_grad_(True)
        rows = torch.arange(len(scene.inputs))
        cross_entropy(plain, Batch(scene.inputs, scene.labels, rows, 0.0)).backward()
