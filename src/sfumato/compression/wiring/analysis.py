"""What belongs to what, by torch-pruning's dependency graph."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from fnmatch import fnmatchcase
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn

from sfumato.compression.kernels import NORMS, PLAIN, TRANSPOSED, kernel_of
from sfumato.compression.wiring.axes import Axis, Group, Kind
from sfumato.errors import MissingDependency, SettingError

_MAKERS = (*PLAIN, *TRANSPOSED)
_BETWEEN = (NORMS, nn.PReLU, nn.LayerNorm, nn.GroupNorm, nn.modules.instancenorm._InstanceNorm)


def torch_pruning() -> Any:
    """The package.

    Raises:
        MissingDependency: it is not installed.
    """
    try:
        import torch_pruning as package
    except ImportError as error:
        raise MissingDependency(
            'removing neurons needs torch-pruning: pip install "sfumato[prune]"'
        ) from error
    return package


def dependency_graph(model: nn.Module, inputs: Tensor) -> Any:
    """torch-pruning's graph of a plain network.

    Raises:
        SettingError: the network cannot be followed.
    """
    package = torch_pruning()
    flags = {p: p.requires_grad for p in model.parameters()}
    for p in flags:
        p.requires_grad_(True)  # the graph is that of autograd
    modes = {module: module.training for module in model.modules()}
    try:
        with torch.enable_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph = package.DependencyGraph().build_dependency(model, inputs, verbose=False)
    except Exception as error:  # whatever its trace may meet in a network
        raise SettingError(f"torch-pruning cannot follow this network: {error}") from error
    finally:
        for p, flag in flags.items():
            p.requires_grad_(flag)
        for module, mode in modes.items():
            module.training = mode
    for node in graph.module2node.values():
        _map_concatenation(node)
    return graph


def _map_concatenation(node: Any) -> None:
    """Tell the parts of a concatenation apart where torch-pruning does not.

    It compares the parts' widths with what the next layer reads, and gives up where a flattening
    lies between, although the axis that is concatenated is that of the neurons.
    """
    module, axis = node.module, getattr(node.grad_fn, "_saved_dim", None)
    sizes = getattr(module, "concat_sizes", None)
    if type(module).__name__ != "_ConcatOp" or module.offsets is not None or axis != 1:
        return
    if sizes is None or None in sizes:
        return
    from torch_pruning.dependency.index_mapping import _ConcatIndexMapping

    ends = list(accumulate(sizes))
    module.offsets = [0, *ends]
    out, back = list(node.dependencies), [d for each in node.inputs for d in each.dependencies]
    for source, start, end in zip(node.inputs, [0, *ends], ends, strict=False):
        for deps, reverse in ((out, True), (back, False)):
            here, there = (node, source) if reverse else (source, node)
            dep = next(d for d in deps if d.source is here and d.target is there)
            deps.remove(dep)  # a source that stands twice has two of them
            dep.index_mapping[1] = _ConcatIndexMapping((start, end), reverse)


def analysed(
    model: nn.Module, inputs: Tensor, keep: Sequence[str]
) -> tuple[list[Group], list[Axis]]:
    """The groups of a plain network, and the axes on which their neurons lie.

    Args:
        model: the plain network.
        inputs: a few records.
        keep: names or patterns of layers that stay whole, or of what holds such layers.

    Raises:
        SettingError: the network cannot be followed; a neuron reaches a layer of a kind from
            which nothing can be removed; `keep` names a layer that is not there.
    """
    graph = dependency_graph(model, inputs)
    order = {name: number for number, (name, _) in enumerate(model.named_modules())}
    names: dict[Any, str] = {module: name for name, module in model.named_modules()}
    kernels = [name for name, module in model.named_modules() if kernel_of(module) is not None]
    for key in keep:
        if not _kept(kernels, [key]):
            raise SettingError(
                f"keep={key!r}: the network has no such layer with neurons; those are "
                f"{', '.join(kernels)[:300]}"
            )
    names |= {parameter: name for name, parameter in model.named_parameters()}
    found = [
        made
        for each in graph.get_all_groups(root_module_types=_MAKERS)
        if (made := _group(graph, each, names, order, keep)) is not None
    ]
    found.sort(key=lambda pair: order[pair[0].name])
    axes: dict[tuple[str, str], Axis] = {}
    for number, (group, items) in enumerate(found):
        for item in items:
            _claim(axes, number, group, item, names, graph)
    return [group for group, _ in found], list(axes.values())


def _group(
    graph: Any, items: Any, names: dict[Any, str], order: dict[str, int], keep: Sequence[str]
) -> tuple[Group, list[Any]] | None:
    """A group of torch-pruning's; None where its neurons are an output, or are to be kept."""
    held = [item for item in items if _has_neurons(item.dep.target.module, names)]
    makers = {names[i.dep.target.module] for i in held if _kind(graph, i) != "in"}
    makers = {name for name in makers if name in order}
    kernels = [n for n in makers if kernel_of(graph.model.get_submodule(n)) is not None]
    readers = [names[i.dep.target.module] for i in held if _kind(graph, i) == "in"]
    leaves = any(type(item.dep.target.module).__name__ == "_OutputOp" for item in items)
    if leaves or not readers or _kept(kernels, keep):
        return None
    first = _first(kernels, items, names, order)
    for item in held:
        _check_kind(item.dep.target.module, names, first)
    size = len(items[0].idxs) // _sections(graph, held)
    ordered = (tuple(sorted(set(each), key=order.__getitem__)) for each in (kernels, readers))
    return Group(first, size, *ordered), held


def _has_neurons(module: Any, names: dict[Any, str]) -> bool:
    """Whether a module of the network holds numbers for each neuron: not one slope for all."""
    shared = isinstance(module, nn.PReLU) and module.num_parameters == 1
    return module in names and not shared


def _first(kernels: Sequence[str], items: Any, names: dict[Any, str], order: dict[str, int]) -> str:
    """The first layer that makes all of a group's neurons, in the group's own order."""
    whole = [
        names[item.dep.target.module]
        for item in items
        if names.get(item.dep.target.module) in kernels
        and list(item.idxs) == list(item.root_idxs) == list(items[0].idxs)
    ]
    return min(whole or kernels, key=order.__getitem__)


def _kept(names: Sequence[str], keep: Sequence[str]) -> bool:
    """Whether a name is to be kept, or lies in what is."""
    return any(
        name == key or name.startswith(f"{key}.") or fnmatchcase(name, key)
        for name in names
        for key in keep
    )


def _kind(graph: Any, item: Any) -> Kind:
    """The axis that an item of a group is about."""
    module, handler = item.dep.target.module, item.dep.handler
    if isinstance(module, nn.Parameter):
        return "parameter"
    makes, reads = graph.is_out_channel_pruning_fn(handler), graph.is_in_channel_pruning_fn(handler)
    return "both" if makes and reads else ("out" if makes else "in")


def _check_kind(module: Any, names: dict[Any, str], first: str) -> None:
    if not isinstance(module, (*_MAKERS, *_BETWEEN, nn.Parameter)):
        raise SettingError(
            f"the neurons of {first!r} reach {names[module]!r}, a {type(module).__name__}, from "
            f"which nothing can be removed here: keep them whole, keep=[{first!r}] (--keep {first})"
        )


def _sections(graph: Any, held: Sequence[Any]) -> int:
    """Of how many like parts the neurons are: of each, one goes at a time."""
    found = 1
    for item in held:
        module: Any = item.dep.target.module
        if isinstance(module, nn.GroupNorm):
            found = max(found, module.num_groups)
        elif isinstance(module, _MAKERS) and _kind(graph, item) != "both":
            found = max(found, getattr(module, "groups", 1))
    return found


def _claim(
    axes: dict[tuple[str, str], Axis],
    number: int,
    group: Group,
    item: Any,
    names: dict[Any, str],
    graph: Any,
) -> None:
    """Write a group's neurons to the axis that an item is about."""
    module, kind = item.dep.target.module, _kind(graph, item)
    name, dim = names[module], int(item.dep.target.pruning_dim)
    axis = axes.get((name, kind))
    if axis is None:
        nobody = torch.full((_length(module, kind, dim),), -1)
        axis = Axis(name, kind, nobody, nobody.clone(), item.dep.handler, dim)
        axes[name, kind] = axis
    roots = list(item.root_idxs)
    if None in roots or max(item.idxs, default=0) >= len(axis.group):
        raise SettingError(
            f"torch-pruning cannot say which neurons of {group.name!r} {name!r} reads: keep them "
            f"whole, keep=[{group.name!r}] (--keep {group.name})"
        )
    where, neurons = torch.tensor(item.idxs), torch.tensor(roots) % group.size
    taken = axis.group[where]
    other = (taken >= 0) & ((taken != number) | (axis.neuron[where] != neurons))
    if bool(other.any()):
        raise SettingError(
            f"neurons of {group.name!r} and of another layer meet in {name!r} in a way that "
            f"cannot be taken apart: keep them whole, keep=[{group.name!r}] (--keep {group.name})"
        )
    axis.group[where], axis.neuron[where] = number, neurons


def _length(module: Any, kind: Kind, dim: int) -> int:
    """How many positions an axis has."""
    kernel = None if isinstance(module, nn.Parameter) else kernel_of(module)
    if kernel is not None:
        return kernel.inputs if kind == "in" else kernel.outputs
    if isinstance(module, nn.Parameter):
        return module.shape[dim]
    if isinstance(module, nn.LayerNorm):
        return module.normalized_shape[-1]
    for attribute in ("num_features", "num_channels", "num_parameters"):
        if hasattr(module, attribute):
            return int(getattr(module, attribute))
    raise SettingError(f"nothing can be removed from a {type(module).__name__}")
