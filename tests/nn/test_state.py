"""What a layer keeps: parameters, its constructor's arguments, and nothing of a call."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import sfumato as sf
from sfumato.noise import Gaussian, Laplace
from tests.nn.cases import ELSEWHERE, NAMES, a_layer, every_layer

names = pytest.mark.parametrize("name", NAMES)


def test_the_list_of_layers_is_whole() -> None:
    assert set(NAMES) == set(every_layer())
    public = {n for n in dir(sf.nn) if n.startswith(("Stochastic", "Conditional", "Additive"))}
    assert public - {"StochasticModule"} - ELSEWHERE == set(NAMES)


@names
def test_deepcopy_after_a_forward(name: str) -> None:
    layer, arguments = a_layer(name)
    eps = torch.randn_like(layer(*arguments))
    twin = copy.deepcopy(layer)
    assert torch.equal(twin(*arguments, eps), layer(*arguments, eps))
    with torch.no_grad():
        twin.weight.add_(1.0)
    assert not torch.equal(twin(*arguments, eps), layer(*arguments, eps))


@names
def test_safetensors_round_trip(name: str, tmp_path: Path) -> None:
    layer, arguments = a_layer(name)
    save_file(layer.state_dict(), tmp_path / "layer.safetensors")
    fresh, _ = a_layer(name)
    fresh.load_state_dict(load_file(tmp_path / "layer.safetensors"))
    for mine, theirs in zip(fresh.params(*arguments), layer.params(*arguments), strict=True):
        assert torch.equal(mine, theirs)


@names
def test_a_call_leaves_nothing_behind(name: str) -> None:
    layer, arguments = a_layer(name)
    before = dict(vars(layer))
    layer(*arguments).sum().backward()
    assert vars(layer) == before
    assert set(layer.state_dict()) <= {"weight", "bias"}


@names
@pytest.mark.parametrize("bound", [None, (-1.0, 2.0)])
def test_the_config_is_json_and_names_every_argument(
    name: str, bound: tuple[float, float] | None
) -> None:
    layer, _ = a_layer(name)
    layer.noise, layer.bound = Laplace(0.5), None if bound is None else sf.nn.Bound(*bound)
    config = json.loads(json.dumps(layer.config()))
    assert config.pop("noise") == {"law": "Laplace", "min_scale": 0.5}
    edges = config.pop("bound")
    assert edges == (None if bound is None else {"low": -1, "high": 2, "straight_through": False})
    fresh = type(layer)(**config)
    assert fresh.config() == {
        **config,
        "noise": {"law": "Gaussian", "min_scale": 1e-3},
        "bound": None,
    }
    assert {k: v.shape for k, v in fresh.state_dict().items()} == {
        k: v.shape for k, v in layer.state_dict().items()
    }


@names
def test_it_prints_its_arguments(name: str) -> None:
    layer, _ = a_layer(name)
    assert repr(layer).startswith(f"{name}(")
    assert "noise=Gaussian(min_scale=0.001)" in repr(layer)


@names
def test_device_and_dtype_of_the_parameters(name: str) -> None:
    layer, _ = a_layer(name)
    config = {k: v for k, v in layer.config().items() if k not in ("noise", "bound")}
    made = type(layer)(**config, noise=Gaussian(0.5), device="meta", dtype=torch.float64)
    assert {(p.device.type, p.dtype) for p in made.parameters()} == {("meta", torch.float64)}


@names
def test_shapes_without_values(name: str) -> None:
    layer, arguments = a_layer(name)
    shape = layer(*arguments).shape
    assert layer.to("meta")(*(a.to("meta") for a in arguments)).shape == shape
