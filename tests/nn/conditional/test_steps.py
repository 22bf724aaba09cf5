"""A selection for each step of a sequence: labels `[B, T]`, masks and π `[B, C, T]`."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

import sfumato as sf
from sfumato.errors import DataError
from tests.nn import reference

C, B, T, IN, OUT = 3, 4, 5, 6, 2
F64: dict[str, Any] = {"dtype": torch.float64}


def a_layer(bias: bool = True) -> sf.nn.ConditionalLinear:
    return sf.nn.ConditionalLinear(C, IN, OUT, bias, noise=sf.noise.Gaussian(0.1), **F64)


def sequences(*steps: int) -> Tensor:
    return torch.randn(B, *(steps or (T,)), IN, **F64)


def classes(*steps: int) -> Tensor:
    """Every class in turn; in the last record one alone."""
    labels = (2 * torch.arange(B * torch.Size(steps or (T,)).numel()) + 1) % C
    labels = labels.reshape(B, *(steps or (T,)))
    labels[-1] = 1
    return labels


def one_hot(labels: Tensor) -> Tensor:
    return F.one_hot(labels, C).movedim(-1, 1)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("steps", [(T,), (1,), (2, 3)])
def test_labels_against_loops(steps: tuple[int, ...], bias: bool) -> None:
    layer, x, c = a_layer(bias), sequences(*steps), classes(*steps)
    raw = [
        reference.product_of(
            row, layer.weight[k], layer.bias[k] if layer.bias is not None else None
        )
        for row, k in zip(x.flatten(0, -2), c.flatten().tolist(), strict=True)
    ]
    location, scale = reference.batch(raw, 0.1)
    shape = (B, *steps, OUT)
    expected = location.reshape(shape), scale.reshape(shape)
    torch.testing.assert_close(layer.params(x, c), expected)
    eps = torch.randn(shape, **F64)
    torch.testing.assert_close(layer(x, c, eps), expected[0] + expected[1] * eps)


@pytest.mark.parametrize("channels", [None, 1, IN])
def test_shares_against_loops(channels: int | None) -> None:
    """Raw parameters are Σ_c [W_c (π_c ⊙ x) + π̄_c b_c], step by step."""
    layer, x = a_layer(), sequences()
    pi = torch.rand(B, C, *(() if channels is None else (channels,)), T, **F64)
    full = (pi if channels is not None else pi.unsqueeze(2)).expand(B, C, IN, T)
    raw = []
    for b in range(B):
        for t in range(T):
            parts = [
                reference.product_of(
                    full[b, c, :, t] * x[b, t],
                    layer.weight[c],
                    full[b, c, :, t].mean() * layer.bias[c],  # type: ignore[index]
                )
                for c in range(C)
            ]
            raw.append([sum(blocks) for blocks in zip(*parts, strict=True)])
    expected = tuple(p.reshape(B, T, OUT) for p in reference.batch(raw, 0.1))
    for learning in (False, True):
        torch.testing.assert_close(layer.params(x, pi.requires_grad_(learning)), expected)


@pytest.mark.parametrize("steps", [(T,), (2, 3)])
@pytest.mark.parametrize("form", ["mask", "shares", "learning", "per feature"])
def test_one_hot_is_the_hard_selection(form: str, steps: tuple[int, ...]) -> None:
    layer, x, c = a_layer(), sequences(*steps), classes(*steps)
    pi = one_hot(c)
    selection = {
        "mask": pi.bool(),
        "shares": pi.double(),
        "learning": pi.double().requires_grad_(),
        "per feature": pi.double().unsqueeze(2).expand(-1, -1, IN, *steps),
    }[form]
    torch.testing.assert_close(
        layer.params(x, selection), layer.params(x, c), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("place", ["input", "output"])
@pytest.mark.parametrize("shape", [(), (1,), (1, T), ("all",), ("all", T)])
def test_a_learned_selection_is_the_tensor_it_holds(place: Any, shape: tuple[Any, ...]) -> None:
    layer, x = a_layer(), sequences()
    channels = {"input": IN, "output": OUT}[place]
    shape = tuple(channels if size == "all" else size for size in shape)
    soft = sf.nn.SoftSelection(C, shape, place).double()
    torch.nn.init.normal_(soft.logits)
    pi = soft().detach().reshape(C, *(*shape, 1, 1)[:2]).expand(C, channels, T)
    location, scale = layer.params(x, soft)
    for t in range(T):
        alone = sf.nn.SoftSelection(C, (channels,), place).double()
        with torch.no_grad():
            alone.logits.copy_(pi[..., t].log())
        for found, wanted in zip((location, scale), layer.params(x[:, t], alone), strict=True):
            torch.testing.assert_close(found[:, t], wanted)


def test_a_mixture_draws_a_class_for_each_step() -> None:
    layer, x = a_layer(), sequences()
    mixture = sf.nn.SoftSelection(C, (1, T), combine="mixture")
    each = torch.stack([layer.params(x, torch.full((B,), c))[0] for c in range(C)])
    drawn = set()
    for _ in range(20):
        location = layer.params(x, mixture)[0]
        distance = (each - location).abs().amax(-1)  # [C, B, T]
        assert distance.amin(0).max() < 1e-10
        drawn.update(distance.argmin(0).flatten().tolist())
        assert len(distance.argmin(0).unique()) > 1
    assert drawn == set(range(C))


@pytest.mark.parametrize("width", [2, 70])
def test_gradients(width: int) -> None:
    layer = sf.nn.ConditionalLinear(C, width, width, **F64)
    x = torch.randn(B, T, width, **F64).requires_grad_()
    c, eps = classes(), torch.randn(B, T, width, **F64)
    named = dict(layer.named_parameters())

    def sample(*values: Tensor) -> Tensor:
        own = dict(zip(named, values[1:], strict=True))
        return torch.func.functional_call(layer, own, (values[0], c, eps))

    assert torch.autograd.gradcheck(sample, (x, *named.values()), fast_mode=True)
    assert torch.autograd.gradcheck(lambda v: layer(v, c, eps), (x,), fast_mode=True)


def test_nothing_of_another_class_reaches_a_step() -> None:
    layer, x, c = a_layer(), sequences(), classes()
    expected = layer.params(x, c)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter[0] = float("nan")
    for found, wanted in zip(layer.params(x, c), expected, strict=True):
        assert torch.equal(found[c != 0], wanted[c != 0])
        assert found[c == 0].isnan().all()
    layer.zero_grad()
    layer.params(x, torch.ones_like(c))[0].sum().backward()
    for parameter in layer.parameters():
        assert parameter.grad is not None
        assert parameter.grad[1].any() and not parameter.grad[[0, 2]].any()


@pytest.mark.parametrize("form", ["labels", "mask"])
def test_the_cost_does_not_grow_with_the_classes(form: str) -> None:
    """Counted in multiplications, forward and backward."""

    def cost(many: int) -> int:
        layer = sf.nn.ConditionalLinear(many, 80, 80)
        x, c = torch.randn(B, T, 80, requires_grad=True), torch.zeros(B, T, dtype=torch.long)
        c[:, 1::2] = many - 1
        mask = F.one_hot(c, many).movedim(-1, 1).bool()
        with FlopCounterMode(display=False) as counter:
            layer.params(x, c if form == "labels" else mask)[0].sum().backward()
        return counter.get_total_flops()

    alone = cost(1) if form == "labels" else cost(2)
    assert cost(50) <= 1.1 * alone


@pytest.mark.parametrize("steps", [(T,), (2, 3)])
def test_no_records_and_no_steps(steps: tuple[int, ...]) -> None:
    layer = a_layer()
    for x in (sequences(*steps)[:0], sequences(*steps)[:, :0]):
        for selection in (x[..., 0].long(), torch.rand(len(x), C, *x.shape[1:-1])):
            h = layer(x, selection)
            assert h.shape == (*x.shape[:-1], OUT)
            h.sum().backward()


BAD: dict[str, tuple[Any, str]] = {
    "too many steps": (torch.zeros(B, T + 1, dtype=torch.long), r"labels are \[4, 6\].*\[4, 5\]"),
    "another batch": (torch.zeros(B + 1, T, dtype=torch.long), r"labels must be \[4\]"),
    "out of range": (torch.full((B, T), C), r"must lie in 0\.\.2, but 3\.\.3"),
    "classes last": (torch.rand(B, T, C), r"classes .* stand second.*use \.movedim\(-1, 1\)"),
    "per feature": (torch.rand(B, C, IN), r"a share for each feature is \[B, C, features, 1\]"),
    "too many shares": (torch.rand(B, C, T + 1), r"π is \[6\] in space where it must be \[5\]"),
    "no class": (torch.zeros(B, C, T, dtype=torch.bool), "leaves pixels without a class"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_selections(case: str) -> None:
    selection, message = BAD[case]
    with pytest.raises(DataError, match=message) as raised:
        a_layer()(sequences(), selection)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("form", ["labels", "shares", "features"])
def test_traced(form: str) -> None:
    layer, x, c = sf.nn.ConditionalLinear(C, IN, OUT), sequences().float(), classes()
    selection: Any = {
        "labels": c,
        "shares": torch.rand(B, C, T),
        "features": torch.rand(B, C, IN, T),
    }[form]
    eps = torch.randn(B, T, OUT)
    expected = layer(x, selection, eps)
    graph = torch.compile(layer, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(graph(x, selection, eps), expected)

    def one(*arguments: Tensor) -> Tensor:
        return layer(*(value.unsqueeze(0) for value in arguments))[0]

    found = torch.vmap(one)(x, selection, eps)
    torch.testing.assert_close(found, expected)
    dynamic = tuple({0: torch.export.Dim("batch", min=2)} for _ in range(3))
    program = torch.export.export(layer, (x, selection, eps), dynamic_shapes=dynamic).module()
    torch.testing.assert_close(program(x[:2], selection[:2], eps[:2]), expected[:2])


@pytest.mark.parametrize("kind", ["conv", "additive"])
def test_signals_with_a_class_for_each_place(kind: str) -> None:
    """`[B, channels, L]`: labels `[B, L]` are the one-hot mask of these classes."""
    length, c = 7, classes(7)
    layer: Any = {
        "conv": lambda: sf.nn.ConditionalConv1d(C, 2, 3, 3, padding=1, **F64),
        "additive": lambda: sf.nn.ConditionalAdditiveNoise(C, (2, length), **F64),
    }[kind]()
    torch.nn.init.normal_(layer.weight)
    x = torch.randn(B, 2, length, **F64)
    torch.testing.assert_close(layer.params(x, c), layer.params(x, one_hot(c).double()))


def test_additive_noise_reads_its_map() -> None:
    layer = sf.nn.ConditionalAdditiveNoise(C, (2, 3, 4), noise=sf.noise.Gaussian(0.1), **F64)
    torch.nn.init.normal_(layer.weight)
    x, c = torch.randn(B, 2, 3, 4, **F64), torch.randint(C, (B, 3, 4))
    location, scale = layer.params(x, c)
    for b in range(B):
        for i in range(3):
            for j in range(4):
                own = layer.weight[c[b, i, j], :, :, i, j]
                torch.testing.assert_close(location[b, :, i, j], x[b, :, i, j] + own[0])
                torch.testing.assert_close(scale[b, :, i, j], reference.softplus(own[1]) + 0.1)
    location[c.unsqueeze(1).expand_as(location) == 1].sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad[1, 0].any() and not layer.weight.grad[[0, 2]].any()
    with pytest.raises(
        DataError, match=r"a class map \[4, 3, 3\] does not fit records \[2, 3, 4\]"
    ):
        layer(x, c[:, :, :3])
