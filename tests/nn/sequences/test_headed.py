"""Trunk and head: state dicts, transforms, compilers and dtypes of the layers made of them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.utils.checkpoint import checkpoint

import sfumato as sf
from sfumato.errors import SettingError
from sfumato.noise import Binomial, Laplace, Multinomial

RECURRENT: dict[str, Any] = {"num_layers": 2, "bidirectional": True, "batch_first": True}
ENCODER: dict[str, Any] = {"dim_feedforward": 8, "dropout": 0.0, "batch_first": True}
KINDS: dict[str, tuple[Any, Any, tuple[int, int], dict[str, Any]]] = {
    "LSTM": (sf.nn.StochasticLSTM, nn.LSTM, (4, 2), RECURRENT),
    "GRU": (sf.nn.StochasticGRU, nn.GRU, (4, 2), RECURRENT),
    "TransformerEncoderLayer": (
        sf.nn.StochasticTransformerEncoderLayer,
        nn.TransformerEncoderLayer,
        (4, 2),
        ENCODER,
    ),
}
kinds = pytest.mark.parametrize("kind", KINDS)
slow_in_vmap = pytest.mark.filterwarnings("ignore:There is a performance drop because")


def made(kind: str, **more: Any) -> Any:
    ours, _, sizes, options = KINDS[kind]
    return ours(*sizes, **options, **more)


def plain(kind: str, **more: Any) -> Any:
    _, theirs, sizes, options = KINDS[kind]
    return theirs(*sizes, **options, **more)


def records(dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(4, 3, 4, dtype=dtype)


def first(output: Any) -> Tensor:
    return output[0] if isinstance(output, tuple) else output


class Alone(nn.Module):
    """The output without the state, and ε as the second argument."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, eps: Tensor | None = None) -> Tensor:
        return first(self.layer(x, eps=eps))


@kinds
def test_from_module(kind: str) -> None:
    module = plain(kind, dtype=torch.float64).eval()
    frozen = next(iter(dict(module.named_parameters())))
    module.get_parameter(frozen).requires_grad_(False)
    layer = KINDS[kind][0].from_module(module, Laplace(0.1), (-9, 9), scale=0.5)
    assert layer.config() == made(kind, noise=Laplace(0.1), bound=(-9, 9), scale=0.5).config()
    assert {p.dtype for p in layer.parameters()} == {torch.float64}
    learns = {name: p.requires_grad for name, p in layer.named_parameters()}
    assert [name for name, value in learns.items() if not value] == [f"trunk.{frozen}"]
    assert not layer.training and not layer.trunk.training
    x = records(torch.float64)
    with sf.sampling(layer, "mean"):
        assert torch.equal(first(layer(x)), first(module(x)))
    with torch.no_grad():
        module.get_parameter(frozen).zero_()
    assert layer.trunk.get_parameter(frozen).any(), "the module is copied"


@kinds
def test_a_frozen_module_gives_a_frozen_layer(kind: str) -> None:
    layer = KINDS[kind][0].from_module(plain(kind).requires_grad_(False))
    assert not any(p.requires_grad for p in layer.parameters())


@kinds
def test_what_from_module_refuses(kind: str) -> None:
    ours = KINDS[kind][0]
    with pytest.raises(SettingError, match=f"takes a torch.nn.{kind}, not Linear"):
        ours.from_module(nn.Linear(2, 2))
    for law in (Binomial(3), Multinomial()):
        with pytest.raises(SettingError, match="has no location that the trained layer could"):
            ours.from_module(plain(kind), law)


@kinds
@pytest.mark.parametrize("nested", [False, True])
def test_the_state_dict_of_the_plain_layer_is_accepted(kind: str, nested: bool) -> None:
    wrap = (lambda m: nn.Sequential(nn.Identity(), nn.Sequential(m))) if nested else (lambda m: m)
    layer, module = made(kind), plain(kind)
    head = copy.deepcopy(layer.head.state_dict())
    given = wrap(module).state_dict()
    keys = list(given)
    wrap(layer).load_state_dict(given)
    assert list(given) == keys, "the caller's dict is left as it is"
    for name, value in module.named_parameters():
        assert torch.equal(layer.trunk.get_parameter(name), value)
    for name, value in head.items():
        assert torch.equal(layer.head.state_dict()[name], value)


@kinds
def test_the_state_dict_has_no_duplicates_and_comes_back(kind: str, tmp_path: Path) -> None:
    layer, x = made(kind), records()
    names = [name for name, _ in layer.named_parameters()]
    assert sorted(layer.state_dict()) == sorted(names)
    assert {name.split(".")[0] for name in names} == {"trunk", "head"}
    save_file(nn.Sequential(layer).state_dict(), tmp_path / "layer.safetensors")
    fresh = made(kind)
    nn.Sequential(fresh).load_state_dict(load_file(tmp_path / "layer.safetensors"))
    for mine, theirs in zip(fresh.params(x), layer.params(x), strict=True):
        assert torch.equal(mine, theirs)


@kinds
@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("assign", [True, False])
def test_what_is_missing_or_unexpected_is_still_said(kind: str, own: bool, assign: bool) -> None:
    layer = made(kind)
    right = (made(kind) if own else plain(kind)).state_dict()
    layer.load_state_dict(right, assign=assign)
    lost = list(right)[1]
    less = {name: value for name, value in right.items() if name != lost}
    with pytest.raises(RuntimeError, match=f"Missing key.*{lost.removeprefix('trunk.')}"):
        layer.load_state_dict(less, assign=assign)
    with pytest.raises(RuntimeError, match=r'Unexpected key.*"bogus"'):
        layer.load_state_dict({**right, "bogus": torch.zeros(1)}, assign=assign)
    if own:
        headless = {name: value for name, value in right.items() if not name.startswith("head.")}
        with pytest.raises(RuntimeError, match=r'Missing key.*"head\.weight", "head\.bias"'):
            layer.load_state_dict(headless, assign=assign)


@kinds
def test_deepcopy_after_a_forward_and_nothing_left_behind(kind: str) -> None:
    layer, x = made(kind), records()
    before = dict(vars(layer))
    output = first(layer(x))
    output.sum().backward()
    assert vars(layer) == before
    eps, twin = torch.randn_like(output), copy.deepcopy(layer)
    assert torch.equal(first(twin(x, eps=eps)), first(layer(x, eps=eps)))
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(1.0)
    assert not torch.equal(first(twin(x, eps=eps)), first(layer(x, eps=eps)))


@kinds
@pytest.mark.parametrize("law", [None, Laplace()], ids=str)
def test_gradients(kind: str, law: Any) -> None:
    """Against finite differences, with respect to the input, ε and every parameter."""
    layer = made(kind, dtype=torch.float64, **({} if law is None else {"noise": law}))
    x = records(torch.float64)[:2, :2].requires_grad_()
    eps = torch.randn_like(first(layer(x))).requires_grad_()
    names = [name for name, _ in layer.named_parameters()]

    def sample(x: Tensor, eps: Tensor, *values: Tensor) -> Tensor:
        named = dict(zip(names, values, strict=True))
        return first(functional_call(layer, named, (x,), {"eps": eps}))

    values = list(layer.parameters())
    assert torch.autograd.gradcheck(sample, (x, eps, *values), fast_mode=True)


@kinds
def test_several_draws_before_one_backward(kind: str) -> None:
    layer, x = made(kind), records()
    eps = [torch.randn_like(first(layer(x))) for _ in range(3)]
    together = torch.stack([first(layer(x, eps=e)) for e in eps]).square().sum()
    found = torch.autograd.grad(together, layer.head.weight)[0]
    alone = [
        torch.autograd.grad(first(layer(x, eps=e)).square().sum(), layer.head.weight)[0]
        for e in eps
    ]
    torch.testing.assert_close(found, alone[0] + alone[1] + alone[2])


@kinds
def test_activation_checkpointing(kind: str) -> None:
    layer, x, found = made(kind), records(), []
    for call in (layer, lambda x: checkpoint(layer, x, use_reentrant=False)):
        torch.manual_seed(5)
        sample = first(call(x))
        found.append([sample, *torch.autograd.grad(sample.square().sum(), [*layer.parameters()])])
    for mine, theirs in zip(*found, strict=True):
        assert torch.equal(mine, theirs)


@kinds
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_dtypes(kind: str, dtype: torch.dtype) -> None:
    layer = made(kind).to(dtype)
    with sf.record(layer) as rec:
        sample = first(layer(records(dtype)))
    assert sample.dtype == dtype
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    assert {p.dtype for params in rec.params.values() for p in params} == {wide}
    sample.float().sum().backward()
    assert all(p.grad is not None and p.grad.dtype == dtype for p in layer.parameters())
    assert {p.dtype for p in made(kind, dtype=dtype).parameters()} == {dtype}


@kinds
def test_autocast(kind: str) -> None:
    layer, x = made(kind), records()
    with torch.autocast("cpu", torch.bfloat16), sf.record(layer) as rec:
        sample = first(layer(x))
        assert sample.dtype == first(layer.trunk(x)).dtype
    ((location, scale),) = rec.params.values()
    assert location.dtype == scale.dtype == torch.float32
    torch.testing.assert_close((location, scale), layer.params(x), rtol=0.05, atol=0.05)
    sample.float().sum().backward()
    assert all(p.grad.dtype == torch.float32 for p in layer.parameters())


@kinds
def test_shapes_without_values(kind: str) -> None:
    layer = made(kind, device="meta")
    assert {p.device.type for p in layer.parameters()} == {"meta"}
    assert first(layer(records().to("meta"))).shape == first(made(kind)(records())).shape


@kinds
def test_an_empty_batch(kind: str) -> None:
    layer = made(kind)
    sample = first(layer(records()[:0]))
    assert sample.shape == (0, *first(layer(records())).shape[1:])
    sample.sum().backward()
    assert not any(p.grad is not None and p.grad.any() for p in layer.parameters())


@kinds
def test_nan_goes_through(kind: str) -> None:
    x = records()
    x[0] = float("nan")
    sample = first(made(kind)(x))
    assert sample[0].isnan().all() and sample[1:].isfinite().all()


@slow_in_vmap
def test_vmap() -> None:
    layer = Alone(made("TransformerEncoderLayer"))
    x = records()[:1].expand(4, -1, -1)
    h = vmap(lambda v: layer(v[None])[0], randomness="different")(x)
    assert h.shape == x.shape
    assert (h[0] != h[1]).all()


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_torch_has_no_vmap_over_its_fused_recurrences(kind: str) -> None:
    """Neither the plain layer nor, therefore, ours."""
    for layer in (plain(kind), made(kind)):
        with pytest.raises(RuntimeError, match=f"not implemented for aten::{kind.lower()}.input"):
            vmap(lambda v, layer=layer: first(layer(v[None])), randomness="different")(records())


@slow_in_vmap
@pytest.mark.parametrize("kind", ["LSTM", "TransformerEncoderLayer"])
def test_gradients_for_each_record(kind: str) -> None:
    layer, x = made(kind), records()
    eps = torch.randn_like(first(layer(x)))
    named = {name: p.detach() for name, p in layer.named_parameters()}

    def loss(values: dict[str, Tensor], x: Tensor, eps: Tensor) -> Tensor:
        output = functional_call(layer, values, (x[None],), {"eps": eps[None]})
        return first(output).square().sum()

    together = vmap(grad(loss), in_dims=(None, 0, 0))(named, x, eps)
    for b in range(len(x)):
        alone = grad(loss)(named, x[b], eps[b])
        for key, value in alone.items():
            torch.testing.assert_close(together[key][b], value, rtol=1e-4, atol=1e-5)


def test_torch_has_no_gradients_for_each_record_of_a_gru() -> None:
    x = records()
    for layer in (plain("GRU"), made("GRU")):
        named = {name: p.detach() for name, p in layer.named_parameters()}

        def loss(values: Any, x: Tensor, layer: nn.Module = layer) -> Tensor:
            return first(functional_call(layer, values, (x[None],))).sum()

        with pytest.raises(RuntimeError, match="doesn't match the broadcast shape"):
            vmap(grad(loss), in_dims=(None, 0), randomness="different")(named, x)


@pytest.mark.filterwarnings("ignore:The tensor attributes .*_flat_weights")  # plain RNNs say it
@kinds
def test_export(kind: str) -> None:
    batch = torch.export.Dim("batch", min=2)
    layer, x = Alone(made(kind)), records()
    graph = torch.export.export(layer, (x,), dynamic_shapes=({0: batch},)).module()
    assert (graph(x) != graph(x)).all()
    assert graph(x[:2]).shape == layer(x[:2]).shape
    inputs = (x, torch.randn_like(layer(x)))
    shapes = ({0: batch}, {0: batch})
    graph = torch.export.export(layer, inputs, dynamic_shapes=shapes).module()
    more = tuple(torch.cat([each, each]) for each in inputs)
    torch.testing.assert_close(graph(*more), layer(*more))


@pytest.fixture
def compiler() -> Iterator[Any]:
    torch.compiler.reset()
    yield lambda layer, whole: torch.compile(layer, fullgraph=whole, backend="aot_eager")
    torch.compiler.reset()


# After a break in the graph torch itself looks at the gradient of what comes from before it.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")
@kinds
def test_compile(kind: str, compiler: Any) -> None:
    """Torch breaks its graph around an LSTM or GRU: `fullgraph` is for the transformer layer."""
    layer, x = Alone(made(kind)), records()
    graph = compiler(layer, kind == "TransformerEncoderLayer")
    eps = torch.randn_like(layer(x))
    found, wanted = graph(x, eps), layer(x, eps)
    torch.testing.assert_close(found, wanted)
    upstream, learning = torch.randn_like(eps), [*layer.parameters()]
    torch.testing.assert_close(
        torch.autograd.grad(found, learning, upstream),
        torch.autograd.grad(wanted, learning, upstream),
    )
    assert (graph(x) != graph(x)).all()
    with sf.sampling(layer, "mean"):
        torch.testing.assert_close(graph(x), layer(x))


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_torch_compiles_no_whole_graph_of_a_recurrence(kind: str, compiler: Any) -> None:
    for layer in (plain(kind), made(kind)):
        with pytest.raises(Exception, match="Dynamo does not support RNN, GRU, or LSTM"):
            compiler(layer, True)(records())


@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")
@pytest.mark.parametrize(("kind", "learning"), [("LSTM", False), ("GRU", False), ("GRU", True)])
def test_a_whole_graph_where_torch_is_told_to(kind: str, learning: bool, compiler: Any) -> None:
    """`allow_rnn` is torch's experiment; with gradients it fails for the plain LSTM too."""
    layer, x = Alone(made(kind)), records()
    config: Any = torch._dynamo.config
    with config.patch(allow_rnn=True), torch.set_grad_enabled(learning):
        graph = compiler(layer, True)
        eps = torch.randn_like(layer(x))
        torch.testing.assert_close(graph(x, eps), layer(x, eps))
        assert (graph(x) != graph(x)).all()
        if learning:
            graph(x).sum().backward()
            assert all(p.grad is not None for p in layer.parameters())


@kinds
@pytest.mark.parametrize("assign", [True, False])
def test_a_plain_state_dict_beside_a_head_without_values(kind: str, assign: bool) -> None:
    layer, state = made(kind, device="meta", scale=0.5), plain(kind).double().state_dict()
    with pytest.raises(RuntimeError, match=r"on the meta device.*materialise it first"):
        layer.load_state_dict(state, assign=assign)
    layer.to_empty(device="cpu").reset_parameters()
    layer.load_state_dict(state, assign=assign)
    wide = torch.float64 if assign else torch.float32
    assert {p.dtype for p in layer.parameters()} == {wide}
    location, scale = layer.params(records(wide))
    torch.testing.assert_close(scale, torch.full_like(location, 0.5))


@kinds
@pytest.mark.parametrize("bad", [float("inf"), float("nan")])
def test_scales_and_laws_that_are_refused(kind: str, bad: float) -> None:
    with pytest.raises(SettingError, match=r"must be finite|is not above"):
        made(kind, scale=bad)
    with pytest.raises(SettingError, match=r"must be a law such as .*, not Normal"):
        made(kind, noise=torch.distributions.Normal(0.0, 1.0))
