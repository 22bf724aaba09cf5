"""`Conditional` on sequences: where records and steps lie, and a class for each step; bad use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.flop_counter import FlopCounterMode

import sfumato as sf
from sfumato.errors import DataError, SettingError

C, B, T, D = 3, 5, 7, 8
LABELS = torch.tensor([2, 0, 2, 1, 0])
first_or_second = pytest.mark.parametrize("batch_first", [True, False])

Make = Callable[[bool], nn.Module]
RECURRENT: dict[str, Make] = {
    "LSTM": lambda bf: nn.LSTM(D, 4, 2, bidirectional=True, batch_first=bf),
    "LSTM with a projection": lambda bf: nn.LSTM(D, 4, proj_size=3, batch_first=bf),
    "GRU": lambda bf: nn.GRU(D, 4, batch_first=bf),
    "StochasticLSTM": lambda bf: sf.nn.StochasticLSTM(D, 4, bidirectional=True, batch_first=bf),
    "StochasticGRU": lambda bf: sf.nn.StochasticGRU(D, 4, 2, batch_first=bf),
    "Bayesian LSTM": lambda bf: sf.nn.bayesian(nn.LSTM(D, 4, batch_first=bf)),
}
MIXING: dict[str, Make] = {
    **RECURRENT,
    "transformer": lambda bf: nn.TransformerEncoderLayer(D, 2, 16, dropout=0.0, batch_first=bf),
    "stochastic transformer": lambda bf: sf.nn.StochasticTransformerEncoderLayer(
        D, 2, 16, dropout=0.0, batch_first=bf
    ),
    "encoder": lambda bf: nn.TransformerEncoder(
        nn.TransformerEncoderLayer(D, 2, 16, dropout=0.0, batch_first=bf),
        2,
        enable_nested_tensor=False,
    ),
}
recurrent = pytest.mark.parametrize("name", RECURRENT)
mixing = pytest.mark.parametrize("name", MIXING)


def steps() -> Tensor:
    """Labels `[B, T]`: in the last record one class alone, in the one before two."""
    labels = torch.randint(C, (B, T))
    labels[-1], labels[-2] = 1, torch.arange(T) // 4
    return labels


def build(make: Make, batch_first: bool) -> tuple[Any, Tensor]:
    layer = sf.nn.Conditional(C, lambda: make(batch_first)).double()
    return layer, torch.randn(B, T, D).double()


def turned(x: Tensor, batch_first: bool) -> Tensor:
    return x if batch_first else x.transpose(0, 1)


def states(state: Any) -> list[Tensor]:
    return list(state) if isinstance(state, tuple) else [state]


def alone(layer: Any, c: int, x: Tensor, batch_first: bool, *more: Any) -> tuple[Tensor, list[Any]]:
    """One record through the module of class c: its steps `[T, d]`, and its states."""
    result = layer.classes[c](turned(x.unsqueeze(0), batch_first), *more)
    if not isinstance(result, tuple):
        return turned(result, batch_first)[0], []
    return turned(result[0], batch_first)[0], states(result[1])


@first_or_second
@recurrent
def test_states_go_in_and_come_out(name: str, batch_first: bool) -> None:
    layer, x = build(RECURRENT[name], batch_first)
    with sf.sampling(layer, "mean"):
        output, state = layer(turned(x, batch_first), LABELS)
        again, _ = layer(turned(x, batch_first), LABELS, state)
        for b, c in enumerate(LABELS.tolist()):
            own, own_state = alone(layer, c, x[b], batch_first)
            torch.testing.assert_close(turned(output, batch_first)[b], own)
            for mine, theirs in zip(states(state), own_state, strict=True):
                torch.testing.assert_close(mine[:, b : b + 1], theirs)
            handed = tuple(own_state) if len(own_state) > 1 else own_state[0]
            own, _ = alone(layer, c, x[b], batch_first, handed)
            torch.testing.assert_close(turned(again, batch_first)[b], own)


@first_or_second
@mixing
def test_a_class_for_each_step(name: str, batch_first: bool) -> None:
    """The whole record passes through each class that occurs; each step takes its own class's."""
    (layer, x), c = build(MIXING[name], batch_first), steps()
    assert not layer.positionwise
    with sf.sampling(layer, "mean"):
        result = layer(turned(x, batch_first), c)
        output, state = result if isinstance(result, tuple) else (result, ())
        for b in range(B):
            each = [alone(layer, k, x[b], batch_first) for k in range(C)]
            for t in range(T):
                own = each[int(c[b, t])][0][t]
                torch.testing.assert_close(turned(output, batch_first)[b, t], own)
            for mine, theirs in zip(states(state), each[int(c[b, -1])][1], strict=False):
                torch.testing.assert_close(mine[:, b : b + 1], theirs)


@first_or_second
@mixing
def test_one_hot_shares_for_each_step(name: str, batch_first: bool) -> None:
    (layer, x), c = build(MIXING[name], batch_first), steps()
    x = turned(x, batch_first)
    one_hot = F.one_hot(c, C).transpose(1, 2).double()
    with sf.sampling(layer, "mean"):
        hard, soft = layer(x, c), layer(x, one_hot)
        for mine, theirs in zip(_all(hard), _all(soft), strict=True):
            torch.testing.assert_close(mine, theirs)


def _all(result: Any) -> list[Tensor]:
    return [result[0], *states(result[1])] if isinstance(result, tuple) else [result]


@first_or_second
def test_masks_of_a_transformer(batch_first: bool) -> None:
    """Padding is of a record, the attention mask of all; T = B would not confuse them."""
    layer, x = build(MIXING["transformer"], batch_first)
    x = x[:, :B]
    padding = torch.zeros(B, B, dtype=torch.bool)
    padding[1, 3:] = True
    causal = nn.Transformer.generate_square_subsequent_mask(B, dtype=torch.float64)
    found = layer(
        turned(x, batch_first), LABELS, causal, src_key_padding_mask=padding.double() * -1e9
    )
    for b, c in enumerate(LABELS.tolist()):
        own, _ = alone(layer, c, x[b], batch_first, causal, padding[b : b + 1].double() * -1e9)
        torch.testing.assert_close(turned(found, batch_first)[b], own)


@first_or_second
def test_attention(batch_first: bool) -> None:
    make: Make = lambda bf: nn.MultiheadAttention(D, 2, batch_first=bf)  # noqa: E731
    layer, x = build(make, batch_first)
    memory, c = torch.randn(B, 4, D).double(), steps()
    query, keys = turned(x, batch_first), turned(memory, batch_first)
    for labels in (LABELS, c):
        output, weights = layer(query, labels, keys, keys)
        assert weights.shape == (B, T, 4)
        for b in range(B):
            for t in range(T):
                k = int(labels[b] if labels.dim() == 1 else labels[b, t])
                own, own_weights = layer.classes[k](
                    *(turned(v[b : b + 1], batch_first) for v in (x, memory, memory))
                )
                torch.testing.assert_close(
                    turned(output, batch_first)[b, t], turned(own, batch_first)[0, t]
                )
                torch.testing.assert_close(weights[b, t], own_weights[0, t])
    assert layer(query, LABELS, keys, keys, need_weights=False)[1] is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Linear(D, 4),
        lambda: nn.Sequential(nn.Linear(D, 4), nn.GELU(), nn.LayerNorm(4)),
        lambda: sf.nn.BayesianLinear(D, 4),
        lambda: sf.nn.bayesian(nn.Linear(D, 4)),
        lambda: sf.nn.Stochastic(nn.Linear(D, 4), axis=-1),
    ],
)
def test_steps_of_a_positionwise_module_are_sorted(make: Callable[[], nn.Module]) -> None:
    layer: Any = sf.nn.Conditional(C, make).double()
    x, c = torch.randn(B, T, D).double(), steps()
    assert layer.positionwise
    with sf.sampling(layer, "mean"):
        found = layer(x, c)
        slow = sf.nn.Conditional(C, make, positionwise=False).double()
        slow.load_state_dict(layer.state_dict())
        with sf.sampling(slow, "mean"):
            torch.testing.assert_close(slow(x, c), found)
        for k in range(C):
            torch.testing.assert_close(found[c == k], layer.classes[k](x)[c == k])


def test_what_a_class_for_each_step_costs() -> None:
    """Position-wise: every step once. Mixing: a record once for each class that occurs in it."""

    def cost(make: Callable[[], nn.Module], many: int, c: Tensor) -> int:
        layer = sf.nn.Conditional(many, make)
        with FlopCounterMode(display=False) as counter:
            layer(torch.randn(B, T, D, requires_grad=True), c).sum().backward()
        return counter.get_total_flops()

    def transformer() -> nn.Module:
        return nn.TransformerEncoderLayer(D, 2, 16, batch_first=True)

    one, many = torch.zeros(B, T, dtype=torch.long), torch.zeros(B, T, dtype=torch.long)
    many[:, ::2] = 30
    linear = cost(lambda: nn.Linear(D, 4), 1, one)
    assert cost(lambda: nn.Linear(D, 4), 40, many) == linear
    assert cost(transformer, 40, many) == 2 * cost(transformer, 1, one)


def test_pictures_step_by_step() -> None:
    """`[B, T, channels, H, W]` with a class for each frame."""
    layer: Any = sf.nn.Conditional(C, lambda: nn.Conv2d(2, 3, 3), positionwise=True)
    x, c = torch.randn(B, T, 2, 5, 5), steps()
    found = layer(x, c)
    assert found.shape == (B, T, 3, 3, 3)
    torch.testing.assert_close(found[1, 2], layer.classes[int(c[1, 2])](x[1, 2]))


@first_or_second
def test_noise_given_for_each_step(batch_first: bool) -> None:
    layer, x = build(RECURRENT["StochasticLSTM"], batch_first)
    x, c = turned(x, batch_first), steps()
    location, scale = layer.params(x, c)
    eps = torch.randn_like(location)
    torch.testing.assert_close(layer(x, c, eps=eps)[0], location + scale * eps)
    with sf.record(layer) as rec:
        layer(x, c)
    torch.testing.assert_close(rec.params["Conditional"], (location, scale))


@pytest.mark.filterwarnings("ignore:There is a performance drop because")
@pytest.mark.parametrize("form", ["labels", "steps", "shares"])
@pytest.mark.parametrize("name", ["transformer", "Linear"])
def test_traced(name: str, form: str) -> None:
    torch.compiler.reset()
    make = {"Linear": lambda _: nn.Linear(D, 4), **MIXING}[name]
    layer, x = build(make, True)
    selection = {"labels": LABELS, "steps": steps(), "shares": torch.rand(B, C, T).double()}[form]
    wanted = layer(x, selection)
    graph = torch.compile(layer, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(graph(x, selection), wanted)
    mapped = torch.vmap(lambda a, c: layer(a.unsqueeze(0), c.unsqueeze(0)).squeeze(0))(x, selection)
    torch.testing.assert_close(mapped, wanted)


@pytest.mark.parametrize("name", ["Linear", "LSTM", "StochasticLinear"])
def test_no_records(name: str) -> None:
    make = {"Linear": nn.Linear, "StochasticLinear": sf.nn.StochasticLinear}.get(name)
    layer = sf.nn.Conditional(C, lambda: make(D, 4) if make else nn.LSTM(D, 4, batch_first=True))
    for selection in (LABELS[:0], torch.rand(0, C), steps()[:0]):
        h = layer(torch.randn(0, T, D), selection)
        assert (h[0] if isinstance(h, tuple) else h).shape == (0, T, 4)


class Odd(nn.Module):
    """Gives something that cannot be put together."""

    def __init__(self, give: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.give = give

    def forward(self, x: Tensor) -> Any:
        return self.give(x)


X3 = torch.zeros(B, T, D)
PACKED = pack_padded_sequence(torch.zeros(B, T, D), torch.full((B,), T), batch_first=True)
LSTM: Callable[[], nn.Module] = lambda: nn.LSTM(D, 4, batch_first=True)  # noqa: E731
BAD: dict[str, tuple[Callable[[], nn.Module], Any, Any, str]] = {
    "label out of range": (lambda: nn.Linear(D, 4), X3, LABELS + 1, r"labels must lie in 0\.\.2"),
    "too few labels": (lambda: nn.Linear(D, 4), X3, LABELS[:2], r"labels must be \[5\]"),
    "float labels": (lambda: nn.Linear(D, 4), X3, LABELS.float(), "labels must be integers"),
    "steps": (LSTM, X3, torch.zeros(B, T + 1).long(), r"for records of \[8\], but .* \[7, 8\]"),
    "steps of shares": (LSTM, X3, torch.rand(B, C, T + 1), r"for records of \[8\]"),
    "classes last": (LSTM, X3, torch.rand(B, T, C), r"use \.movedim\(-1, 1\)"),
    "a shape": (LSTM, X3, sf.nn.SoftSelection(C, (D,)), r"shape \(8,\) does not fit records"),
    "a record's size": (LSTM, X3, sf.nn.SoftSelection(C, (T, 9)), r"records of \[7, 9\]"),
    "no selection": (LSTM, X3, None, "not NoneType"),
    "no batch": (LSTM, X3[0], LABELS, r"LSTM needs an input of \[B, T, in\] here, not \[7, 8\]"),
    "packed": (LSTM, PACKED, LABELS, "use torch.nn.utils.rnn.pad_packed_sequence"),
    "no tensor": (LSTM, [X3], LABELS, "must be a tensor of records, not list"),
    "text": (lambda: Odd(str), X3, LABELS, "Odd gives a str, and only tensors can be put together"),
    "no records": (lambda: Odd(Tensor.sum), X3, LABELS, r"Odd gives \[\], but should give the 2 "),
    "no steps": (lambda: Odd(lambda x: x[:, 0]), X3, steps(), r"should give the 7 steps .* axis 1"),
    "classes merged": (
        lambda: Odd(lambda x: x.argmax(-1)),
        X3,
        torch.rand(C),
        "only real numbers can be merged",
    ),
    "place of another shape": (
        lambda: Odd(lambda x: x[..., :2]),
        X3,
        sf.nn.SoftSelection(C, (T, D), "output"),
        r"π \[1, 3, 7, 8\] does not fit the \[5, 7, 2\] that Odd gives",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str) -> None:
    make, x, selection, message = BAD[case]
    with pytest.raises(DataError, match=message) as raised:
        sf.nn.Conditional(C, make)(x, selection)
    assert "\n" not in str(raised.value)


ONE = nn.Linear(D, 4)
SHARED = nn.Parameter(torch.zeros(4, D))


def sharing() -> nn.Module:
    layer = nn.Linear(D, 4)
    layer.weight = SHARED
    return layer


SETTINGS: dict[str, tuple[int, Any, str]] = {
    "no classes": (0, lambda: nn.Linear(D, 4), "num_classes must be at least 1"),
    "a module": (C, nn.Linear(D, 4), "make is called once for each class: give a function"),
    "no function": (C, "Linear", "not str"),
    "no module": (C, lambda: torch.zeros(3), "make must give a torch.nn.Module, not Tensor"),
    "the same module": (C, lambda: ONE, "the same module or parameter twice"),
    "the same parameter": (C, sharing, "build the module inside of make"),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_bad_settings(case: str) -> None:
    classes, make, message = SETTINGS[case]
    with pytest.raises(SettingError, match=message):
        sf.nn.Conditional(classes, make)


def test_modules_of_one_law() -> None:
    scales = iter([0.1, 0.2, 0.3])
    with pytest.raises(SettingError, match="of one type, noise law and bound"):
        sf.nn.Conditional(
            C, lambda: sf.nn.StochasticLinear(D, 4, noise=sf.noise.Gaussian(next(scales)))
        )


def test_plain_modules_have_no_parameters_of_a_law() -> None:
    layer = sf.nn.Conditional(C, lambda: nn.Linear(D, 4))
    with pytest.raises(SettingError, match="Linear passes on no sample"):
        layer.params(X3, LABELS)
