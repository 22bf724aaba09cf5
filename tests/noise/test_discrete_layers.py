"""Binomial and Multinomial as the noise of layers: every mode, selection and transform."""

from __future__ import annotations

import copy
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import sfumato as sf
from sfumato.errors import DataError, SettingError
from sfumato.noise import Binomial, Multinomial, NoiseLaw

LAWS = {"binomial": Binomial(3, 0.8), "multinomial": Multinomial(3, 0.8)}
laws = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
CLASSES, BATCH = 3, 4
LABELS = torch.tensor([1, 0, 2, 1])
SELECTIONS: dict[str, Any] = {
    "hard": LABELS,
    "sum": sf.nn.SoftSelection(CLASSES),
    "mixture": sf.nn.SoftSelection(CLASSES, combine="mixture"),
}
KINDS = [("Stochastic", "none"), *(("Conditional", name) for name in SELECTIONS)]
CASES = [
    pytest.param(f"{kind}{shape}", selection, id=f"{kind}{shape}-{selection}")
    for kind, selection in KINDS
    for shape in ("Linear", "Conv2d")
]
cases = pytest.mark.parametrize(("name", "selection"), CASES)
# Tracing takes its time: every layer and selection, with one of the laws in turn.
TRACED = [
    pytest.param(*case.values, law, id=f"{case.id}-{key}")
    for number, case in enumerate(CASES)
    for key, law in LAWS.items()
    if number < 2 or (number // 2 + number + (key == "binomial")) % 2
]
traced = pytest.mark.parametrize(("name", "selection", "law"), TRACED)


def a_layer(name: str, law: NoiseLaw, selection: str = "none") -> tuple[Any, tuple[Any, ...]]:
    """The layer and the arguments of a call; the sample has 4 channels."""
    picture = torch.randn(BATCH, 2, 5, 5) if "Conv2d" in name else torch.randn(BATCH, 5)
    sizes = (2, 4, 3) if "Conv2d" in name else (5, 4)
    lead = () if selection == "none" else (CLASSES,)
    chosen = () if selection == "none" else (copy.deepcopy(SELECTIONS[selection]),)
    return getattr(sf.nn, name)(*lead, *sizes, noise=law), (picture, *chosen)


def channels(name: str) -> int:
    return -3 if "Conv2d" in name else -1


def noise_for(layer: Any, arguments: tuple[Any, ...]) -> Tensor:
    return layer.noise.draw(layer.params(*arguments)[0].shape)


def assert_counts(h: Tensor, name: str, law: NoiseLaw) -> None:
    assert torch.equal(h, h.round())
    assert h.min() >= 0
    assert h.max() <= 3
    if isinstance(law, Multinomial):
        assert (h.sum(channels(name)) == 3).all()


@laws
@cases
def test_a_sample_its_gradient_and_its_mean(name: str, selection: str, law: NoiseLaw) -> None:
    layer, arguments = a_layer(name, law, selection)
    h = layer(*arguments)
    assert_counts(h, name, law)
    (h * torch.randn_like(h)).sum().backward()
    learned = [a for a in arguments if isinstance(a, torch.nn.Module)]
    for parameter in torch.nn.ModuleList([layer, *learned]).parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
        assert parameter.grad.any()
    with sf.sampling(layer, "mean"):
        mean = layer(*arguments)
        torch.testing.assert_close(mean, layer.noise.mean(layer.params(*arguments)))
    with sf.sampling(layer, source="os"):
        assert_counts(layer(*arguments), name, law)


@laws
@pytest.mark.parametrize("spatial", [1, 3])
def test_other_dimensions_and_inputs_without_a_batch(law: NoiseLaw, spatial: int) -> None:
    make = {1: sf.nn.StochasticConv1d, 3: sf.nn.StochasticConv3d}[spatial]
    layer, x = make(2, 4, 2, noise=law), torch.randn(BATCH, 2, *(3,) * spatial)
    h, alone = layer(x), layer(x[0])
    assert h.shape == (BATCH, 4, *(2,) * spatial)
    assert alone.shape == h.shape[1:]
    if isinstance(law, Multinomial):
        assert (h.sum(1) == 3).all()
        assert (alone.sum(0) == 3).all()


@laws
@cases
def test_given_noise_makes_it_repeat(name: str, selection: str, law: NoiseLaw) -> None:
    layer, arguments = a_layer(name, law, selection)
    torch.manual_seed(1)
    drawn = layer(*arguments)
    torch.manual_seed(1)
    params = layer.params(*arguments)  # a mixture draws its class here
    eps = layer.noise.draw(drawn.shape)
    assert torch.equal(layer.noise.transform(params, eps), drawn)
    torch.manual_seed(1)
    assert torch.equal(layer(*arguments, eps=eps), drawn)
    with pytest.raises(DataError, match="eps must have the shape"):
        layer(*arguments, eps=eps[..., 0])


@laws
@cases
def test_recorded(name: str, selection: str, law: NoiseLaw) -> None:
    layer, arguments = a_layer(name, law, selection)
    with sf.record(layer) as rec:
        h = layer(*arguments)
    assert torch.equal(rec.samples[name], h)
    torch.testing.assert_close(rec.log_scales[name], layer.noise.log_scale(rec.params[name]))
    axis = channels(name) if isinstance(law, Multinomial) else -1
    count = h.movedim(axis, -1)
    assert rec.distributions[name].log_prob(count).isfinite().all()
    sf.objectives.max_entropy(rec.log_scales, margin=1.0).backward()
    assert layer.weight.grad.isfinite().all()
    assert layer.weight.grad.any()


@traced
@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")
def test_compiled(name: str, selection: str, law: NoiseLaw) -> None:
    torch.compiler.reset()
    layer, arguments = a_layer(name, law, selection)
    graph = torch.compile(layer, fullgraph=True, backend="aot_eager")
    if selection != "mixture":
        eps = noise_for(layer, arguments)
        found, wanted = graph(*arguments, eps=eps), layer(*arguments, eps=eps)
        assert torch.equal(found, wanted)
        slopes = [torch.autograd.grad(h.square().sum(), layer.weight)[0] for h in (found, wanted)]
        torch.testing.assert_close(*slopes)
    first, second = graph(*arguments), graph(*arguments)
    assert_counts(first, name, law)
    assert (first != second).any()


class Chosen(torch.nn.Module):
    """A conditional layer under a selection that it keeps."""

    def __init__(self, layer: Any, selection: torch.nn.Module) -> None:
        super().__init__()
        self.layer, self.selection = layer, selection

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x, self.selection)


@traced
def test_exported(name: str, selection: str, law: NoiseLaw) -> None:
    network, given = a_layer(name, law, selection)
    if selection in ("sum", "mixture"):
        network, given = Chosen(network, given[1]), given[:1]
    dynamic = tuple({0: torch.export.Dim("batch", min=2)} for _ in given)
    graph = torch.export.export(network, given, dynamic_shapes=dynamic).module()
    first, second = graph(*given), graph(*given)
    assert_counts(first, name, law)
    assert (first != second).any()
    assert graph(*(a[:2] for a in given)).shape == first[:2].shape


@laws
@pytest.mark.parametrize("shape", ["Linear", "Conv2d"])
def test_noise_as_an_input_of_an_exported_graph(shape: str, law: NoiseLaw) -> None:
    layer, (x,) = a_layer(f"Stochastic{shape}", law)
    eps = noise_for(layer, (x,))
    batch = {0: torch.export.Dim("batch", min=2)}
    graph = torch.export.export(layer, (x, eps), dynamic_shapes=(batch, batch)).module()
    assert torch.equal(graph(x[1:], eps[1:]), layer(x[1:], eps[1:]))


@laws
@pytest.mark.parametrize("name", ["StochasticLinear", "StochasticConv2d", "ConditionalLinear"])
def test_vmap_draws_for_each_record(name: str, law: NoiseLaw) -> None:
    selection = "hard" if name.startswith("Conditional") else "none"
    layer, (x, *_) = a_layer(name, law, selection)
    same = x[:1].expand(20, *x.shape[1:])
    rest = [torch.zeros(20, dtype=torch.long)] if selection == "hard" else []

    def one(*each: Tensor) -> Tensor:
        return layer(*(a.unsqueeze(0) for a in each))[0]

    h = torch.vmap(one, randomness="different")(same, *rest)
    assert_counts(h, name, law)
    assert len(h.unique(dim=0)) > 1
    eps = layer.noise.draw(h.shape)
    given = torch.vmap(lambda x, e, *c: one(x, *c, e))(same, eps, *rest)
    assert torch.equal(given, layer(same, *rest, eps))


@laws
@cases
def test_half_precision(name: str, selection: str, law: NoiseLaw) -> None:
    layer, (x, *rest) = a_layer(name, law, selection)
    h = layer.to(torch.bfloat16)(x.bfloat16(), *rest)
    assert h.dtype == torch.bfloat16
    assert_counts(h.float(), name, law)
    assert layer.params(x.bfloat16(), *rest)[0].dtype == torch.float32
    h.sum().backward()
    assert layer.weight.grad.dtype == torch.bfloat16


@laws
@cases
def test_state_and_copies(name: str, selection: str, law: NoiseLaw, tmp_path: Path) -> None:
    layer, arguments = a_layer(name, law, selection)
    layer(*arguments)
    twin = copy.deepcopy(layer)
    fresh, _ = a_layer(name, law, selection)
    save_file(layer.state_dict(), tmp_path / "layer.safetensors")
    fresh.load_state_dict(load_file(tmp_path / "layer.safetensors"))
    for other in (twin, fresh):
        samples = []
        for each in (layer, other):
            torch.manual_seed(1)
            samples.append(each(*arguments))
        assert torch.equal(*samples)
    assert json.loads(json.dumps(layer.config()))["noise"] == {
        "law": type(law).__name__,
        **layer.noise.config(),
    }


@laws
@pytest.mark.parametrize("shape", ["Linear", "Conv2d"])
def test_the_weights_are_those_of_the_plain_layer(shape: str, law: NoiseLaw) -> None:
    layer, (x,) = a_layer(f"Stochastic{shape}", law)
    plain = torch.nn.Linear(5, 4) if shape == "Linear" else torch.nn.Conv2d(2, 4, 3)
    layer.load_state_dict(plain.state_dict())
    torch.testing.assert_close(layer.params(x)[0], plain(x))


@laws
def test_an_obfuscator_on_disk(law: NoiseLaw, tmp_path: Path) -> None:
    layer = sf.nn.ConditionalConv2d(CLASSES, 1, 4, 3, noise=law)
    for made, record in ((layer, (1, 5, 5)), (sf.nn.StochasticLinear(5, 4, noise=law), (5,))):
        obfuscator = sf.Obfuscator(made)
        loaded = sf.Obfuscator.load(
            obfuscator.save(tmp_path / type(made).__name__), unaudited_ok=True
        )
        assert loaded.layer.noise == made.noise
        assert loaded.digest() == obfuscator.digest()
        releases = []
        for each in (obfuscator, loaded):
            torch.manual_seed(1)
            releases.append(each.release(torch.ones(BATCH, *record), LABELS))
        assert torch.equal(*releases)


@laws
def test_what_has_no_location_is_refused(law: NoiseLaw) -> None:
    with pytest.raises(SettingError, match=f"with a location to move, not {type(law).__name__}"):
        sf.nn.AdditiveNoise((3,), law)
    with pytest.raises(SettingError, match="with a location to move"):
        sf.nn.ConditionalAdditiveNoise(3, (3,), law)
    for make in (sf.nn.StochasticLinear, partial(sf.nn.StochasticConv2d, kernel_size=3)):
        with pytest.raises(
            SettingError, match=f"bound clamps a location, and {type(law).__name__}"
        ):
            make(2, 4, noise=law, bound=(0, 1))


def test_a_layer_learns_a_count() -> None:
    """64 steps of Adam bring the mean of Binomial(4) from 2 to 3: nothing but its gradient can."""
    layer = sf.nn.StochasticLinear(1, 8, bias=False, noise=Binomial(4, 0.5))
    torch.nn.init.zeros_(layer.weight)
    x, optimizer = torch.ones(256, 1), torch.optim.Adam(layer.parameters(), 0.1)
    for _ in range(64):
        loss = (layer(x).mean(0) - 3).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with sf.sampling(layer, "mean"), torch.no_grad():
        assert (layer(x[:1]) - 3).abs().max() < 0.3
