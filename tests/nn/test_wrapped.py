"""`Stochastic`: a network of any kind emits the parameters."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.func import vmap

import sfumato as sf
from sfumato.errors import DataError, SettingError
from sfumato.noise import Binomial, Gaussian, Laplace, Multinomial
from sfumato.noise.base import NoiseLaw


def vectors(blocks: int = 2) -> tuple[nn.Module, int, Tensor]:
    network = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, blocks * 3))
    return network, -1, torch.randn(4, 5)


def sequences(blocks: int = 2) -> tuple[nn.Module, int, Tensor]:
    return nn.Linear(5, blocks * 3), -1, torch.randn(4, 7, 5)


def pictures(blocks: int = 2) -> tuple[nn.Module, int, Tensor]:
    network = nn.Sequential(nn.Conv2d(2, 4, 3), nn.GELU(), nn.Conv2d(4, blocks * 3, 1))
    return network, 1, torch.randn(4, 2, 5, 5)


KINDS = {"vectors": vectors, "sequences": sequences, "pictures": pictures}
kinds = pytest.mark.parametrize("kind", KINDS)


def made(kind: str, **more: Any) -> tuple[Any, Tensor]:
    network, axis, x = KINDS[kind]()
    return sf.nn.Stochastic(network, axis=axis, **more), x


@kinds
def test_the_formula(kind: str) -> None:
    layer, x = made(kind, noise=Gaussian(0.1), bound=(-0.2, 0.2))
    location, raw = layer.network(x).chunk(2, layer.axis)
    location, scale = location.clamp(-0.2, 0.2), torch.log1p(raw.exp()) + 0.1
    eps = torch.randn_like(location)
    torch.testing.assert_close(layer.params(x), (location, scale))
    torch.testing.assert_close(layer(x, eps=eps), location + scale * eps)
    torch.testing.assert_close(layer.distribution(x).mean, location)
    with sf.sampling(layer, "mean"):
        torch.testing.assert_close(layer(x), location)


def test_it_is_the_layer_that_has_the_same_kernel() -> None:
    """Around a plain linear network of twice the outputs it is `StochasticLinear`."""
    twin, x = sf.nn.StochasticLinear(5, 3), torch.randn(4, 5)
    network = nn.Linear(5, 6)
    network.load_state_dict(twin.state_dict())
    layer = sf.nn.Stochastic(network)
    samples = []
    for each in (layer, twin):
        torch.manual_seed(2)
        samples.append(each(x))
    assert torch.equal(*samples)


@kinds
@pytest.mark.parametrize("law", [Laplace(), Binomial(4), Multinomial(2)], ids=str)
def test_every_law(kind: str, law: NoiseLaw) -> None:
    network, axis, x = KINDS[kind](law.num_params)
    axis = axis if axis < 0 else axis - x.dim()
    layer = sf.nn.Stochastic(network, law, axis=axis)
    sample = layer(x)
    assert sample.shape == layer.params(x)[0].shape
    assert sample.shape[axis] == 3
    sample.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters())
    if isinstance(law, Multinomial):
        assert (sample.sum(axis) == 2).all()
    with sf.sampling(layer, "mean"):
        torch.testing.assert_close(layer(x), layer.noise.mean(layer.params(x)))


def test_a_law_of_categories_needs_its_axis_from_the_end() -> None:
    network, _, x = pictures(1)
    with pytest.raises(SettingError, match=r"counted from the end, not axis=1: -3 for pictures"):
        sf.nn.Stochastic(network, Multinomial())
    assert (sf.nn.Stochastic(network, Multinomial(), axis=-3)(x).sum(1) == 1).all()
    # An axis that the law already has needs none from the layer.
    assert (sf.nn.Stochastic(network, Multinomial(axis=-3))(x).sum(1) == 1).all()


def test_arguments_reach_the_network() -> None:
    class Network(nn.Module):
        def forward(self, x: Tensor, y: Tensor, *, twice: bool = False) -> Tensor:
            return torch.cat([x + y, y if twice else x], 1)

    layer, (x, y) = sf.nn.Stochastic(Network()), torch.randn(2, 4, 3)
    location, raw = layer.blocks(x, y=y, twice=True)
    assert torch.equal(location, x + y)
    assert torch.equal(raw, y)
    eps = torch.zeros(4, 3)
    assert torch.equal(layer(x, y, eps=eps, twice=True), x + y)


@kinds
def test_fresh_noise_for_each_record_and_call(kind: str) -> None:
    layer, x = made(kind)
    x = x[:1].expand_as(x)
    first, second = layer(x), layer(x)
    assert (first != second).all()
    assert (first[0] != first[1]).all()


def test_moments() -> None:
    """n = 20,000 draws, seed 0: each mean and standard deviation of 3 elements within 6 standard
    errors, a false alarm of 6 x 2e-9 over seeds."""
    layer, x = made("vectors")
    n = 20_000
    with torch.no_grad():
        location, scale = layer.params(x[:1])
        draws = layer(x[:1].expand(n, -1))
    assert ((draws.mean(0) - location[0]).abs() < 6 * scale[0] / n**0.5).all()
    assert ((draws.std(0) / scale[0] - 1).abs() < 6 / (2 * n) ** 0.5).all()


@kinds
def test_gradients(kind: str) -> None:
    layer, x = made(kind, noise=Laplace(0.1))
    layer, x = layer.double(), x[:2].double().requires_grad_()
    eps = torch.randn_like(layer(x)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, eps: layer(x, eps=eps), (x, eps), fast_mode=True)


@kinds
def test_state(kind: str, tmp_path: Path) -> None:
    layer, x = made(kind)
    before = dict(vars(layer))
    eps = torch.randn_like(layer(x))
    assert vars(layer) == before
    assert torch.equal(copy.deepcopy(layer)(x, eps=eps), layer(x, eps=eps))
    assert {name.split(".")[0] for name in layer.state_dict()} == {"network"}
    save_file(layer.state_dict(), tmp_path / "layer.safetensors")
    fresh, _ = made(kind)
    fresh.load_state_dict(load_file(tmp_path / "layer.safetensors"))
    assert torch.equal(fresh(x, eps=eps), layer(x, eps=eps))
    config = json.loads(json.dumps(layer.config()))
    assert config == {
        "axis": layer.axis,
        "noise": {"law": "Gaussian", "min_scale": 1e-3},
        "bound": None,
    }
    assert f"axis={layer.axis}, noise=Gaussian" in repr(layer)


@kinds
def test_dtypes(kind: str) -> None:
    for dtype in (torch.bfloat16, torch.float64):
        layer, x = made(kind)
        layer = layer.to(dtype)
        with sf.record(layer) as rec:
            assert layer(x.to(dtype)).dtype == dtype
        ((location, _),) = rec.params.values()
        assert location.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    layer, x = made(kind)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
    assert layer.to("meta")(x.to("meta")).shape == made(kind)[0](x).shape


@kinds
def test_an_empty_batch(kind: str) -> None:
    layer, x = made(kind)
    sample = layer(x[:0])
    assert sample.shape == (0, *layer(x).shape[1:])
    sample.sum().backward()


@kinds
def test_modes_and_recordings(kind: str) -> None:
    layer, x = made(kind)
    with sf.record(layer) as rec, sf.sampling(layer, "mean"):
        sample = layer(x)
    assert torch.equal(rec.samples["Stochastic"], sample)
    torch.testing.assert_close(rec.params["Stochastic"], layer.params(x))
    with sf.sampling(layer, 3):
        assert layer(x).shape == sample.shape


@kinds
def test_vmap(kind: str) -> None:
    layer, x = made(kind)
    same = x[:1].expand_as(x)
    h = vmap(lambda v: layer(v[None])[0], randomness="different")(same)
    assert h.shape == layer(x).shape
    assert (h[0] != h[1]).all()


@kinds
def test_export(kind: str) -> None:
    layer, x = made(kind)
    shapes: Any = {"args": ({0: torch.export.Dim("batch", min=2)},)}
    graph = torch.export.export(layer, (x,), dynamic_shapes=shapes).module()
    assert (graph(x) != graph(x)).all()
    assert graph(x[:2]).shape == layer(x[:2]).shape


@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")
@kinds
def test_compile(kind: str) -> None:
    torch.compiler.reset()
    layer, x = made(kind)
    graph = torch.compile(layer, fullgraph=True, backend="aot_eager")
    eps = torch.randn_like(layer(x))
    torch.testing.assert_close(graph(x, eps=eps), layer(x, eps=eps))
    assert (graph(x) != graph(x)).all()
    torch.compiler.reset()


class Gives(nn.Module):
    """A network that gives what it was made with."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value

    def forward(self) -> Any:
        return self.value


BAD: dict[str, tuple[Any, int, str]] = {
    "odd": (torch.zeros(2, 5), 1, r"Gives gives, \[2, 5\], must hold the 2 blocks of Gaussian: a"),
    "axes": (torch.zeros(4), 1, r"Gives gives \[4\], which has no axis 1"),
    "axes from the end": (torch.zeros(4, 4), -3, r"gives \[4, 4\], which has no axis -3"),
    "a pair": ((torch.zeros(2, 4), None), 1, "Gives must give one tensor, not tuple: wrap it"),
    "nothing": (None, 1, "must give one tensor, not NoneType"),
    "integers": (torch.zeros(2, 4).long(), 1, "must give real numbers, not torch.int64"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_networks(case: str) -> None:
    value, axis, message = BAD[case]
    layer = sf.nn.Stochastic(Gives(value), axis=axis)
    for call in (layer, layer.params):
        with pytest.raises(DataError, match=message) as raised:
            call()
        assert "\n" not in str(raised.value)


def test_settings() -> None:
    with pytest.raises(SettingError, match="axis 0 holds the records"):
        sf.nn.Stochastic(nn.Identity(), axis=0)
    with pytest.raises(SettingError, match="bound clamps a location, and Binomial has none"):
        sf.nn.Stochastic(nn.Identity(), Binomial(2), (0, 1))
    layer, x = made("vectors")
    for wrong in (torch.zeros(3), torch.zeros(1, 3), torch.zeros(4, 1)):
        with pytest.raises(DataError, match="eps must have the shape"):
            layer(x, eps=wrong)
