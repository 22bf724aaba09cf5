"""What torch does to a layer, one check each: compile, export, vmap, half precision, state dict."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from sfumato.nn.mode import sampling
from sfumato.testing.checks import expect, finite, same

Arguments = tuple[Any, ...]
Capability = Callable[[nn.Module, Arguments], None]


def tensor_of(output: Any) -> Tensor:
    """The tensor that a layer's output is, or starts with."""
    return output if isinstance(output, Tensor) else tensor_of(output[0])


def compiles(layer: nn.Module, arguments: Arguments) -> None:
    """`torch.compile(fullgraph=True)`: one graph, fresh noise in every call, gradients."""
    torch.compiler.reset()
    # a wrapper, as in a network: compiling a module by itself would hide its hooks
    graph = torch.compile(nn.Sequential(_Call(layer)), fullgraph=True, backend="aot_eager")
    _stays_random(lambda: graph(arguments), layer, arguments)
    tensor_of(graph(arguments)).sum().backward()
    _gradients(layer)


def exports(layer: nn.Module, arguments: Arguments) -> None:
    """`torch.export`: the exported program runs and stays random."""
    tensors = tuple(value for value in arguments if not isinstance(value, nn.Module))
    program = torch.export.export(_With(layer, arguments), tensors).module()
    _stays_random(lambda: program(*tensors), layer, arguments)


def vmaps(layer: nn.Module, arguments: Arguments) -> None:
    """`torch.vmap(randomness="different")`: noise of its own in every row."""

    def call(*rows: Tensor) -> Tensor:
        given = iter(rows)
        own = [next(given) if isinstance(value, Tensor) else value for value in arguments]
        return tensor_of(layer(*own))

    tensors = [value for value in arguments if isinstance(value, Tensor)]
    rows = [value.unsqueeze(0).expand(3, *value.shape) for value in tensors]
    found = torch.vmap(call, randomness="different")(*rows)
    expect(bool((found[0] != found[1]).any()), "two rows of a vmap have the same noise")
    expect(bool((found[1] != found[2]).any()), "two rows of a vmap have the same noise")


def runs_in_half_precision(layer: nn.Module, arguments: Arguments) -> None:
    """bfloat16, then float16 parameters and inputs: a finite sample of it, finite gradients."""
    for dtype in (torch.bfloat16, torch.float16):
        narrow = copy.deepcopy(layer).to(dtype)
        half = tree_map(lambda value, dtype=dtype: _narrowed(value, dtype), arguments)
        out = tensor_of(narrow(*half))
        name = str(dtype).removeprefix("torch.")
        expect(out.dtype == dtype, f"{name} went in and {out.dtype} came out")
        finite(f"output in {name}", out)
        out.float().sum().backward()
        _gradients(narrow)


def stores(layer: nn.Module, arguments: Arguments) -> None:
    """State dict: no tensor twice, through safetensors into a copy that had other values."""
    state = layer.state_dict()
    places = [value.data_ptr() for value in state.values() if value.numel()]
    expect(len(set(places)) == len(places), "a tensor is in the state dict twice")
    layer.eval()  # dropout is not what is tested
    other = copy.deepcopy(layer)
    with torch.no_grad():
        for value in other.state_dict().values():
            if value.is_floating_point():
                value.add_(0.5)
    other.load_state_dict(load(save(state)))
    with sampling(layer, "mean"), sampling(other, "mean"):
        same("after loading", tensor_of(other(*arguments)), tensor_of(layer(*arguments)))


CAPABILITIES: dict[str, Capability] = {
    "compile": compiles,
    "export": exports,
    "vmap": vmaps,
    "bf16": runs_in_half_precision,
    "state dict": stores,
}


class _Call(nn.Module):
    """The layer, called with a tuple of arguments."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, arguments: Arguments) -> Any:
        return self.layer(*arguments)


class _With(nn.Module):
    """The layer with the modules among its arguments (selections) as children of its own."""

    def __init__(self, layer: nn.Module, arguments: Arguments) -> None:
        super().__init__()
        self.layer = layer
        self.modules_at = [i for i, v in enumerate(arguments) if isinstance(v, nn.Module)]
        self.rest = nn.ModuleList([arguments[i] for i in self.modules_at])

    def forward(self, *tensors: Tensor) -> Any:
        arguments: list[Any] = list(tensors)
        for place, module in zip(self.modules_at, self.rest, strict=True):
            arguments.insert(place, module)
        return self.layer(*arguments)


def _stays_random(call: Callable[[], Any], layer: nn.Module, arguments: Arguments) -> None:
    first, second = tensor_of(call()), tensor_of(call())
    wanted = tensor_of(layer(*arguments)).shape
    expect(first.shape == wanted, f"the shape became {list(first.shape)}, not {list(wanted)}")
    finite("output", first)
    expect(bool((first != second).any()), "two calls give the same sample: the noise is frozen")


def _gradients(layer: nn.Module) -> None:
    found = [p.grad for p in layer.parameters() if p.grad is not None]
    expect(bool(found), "no gradient reaches the parameters")
    for grad in found:
        finite("gradient", grad)


def _narrowed(value: Any, dtype: torch.dtype) -> Any:
    return value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value
