"""StochasticLSTM and StochasticGRU: torch's own recurrence, its output sequence sampled."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence

import sfumato as sf
from sfumato.errors import DataError, SettingError
from sfumato.noise import Binomial, Gaussian, Laplace, Multinomial

# Torch's plain layer says so too, once.
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")

KINDS: dict[str, tuple[Any, Any]] = {
    "LSTM": (sf.nn.StochasticLSTM, nn.LSTM),
    "GRU": (sf.nn.StochasticGRU, nn.GRU),
}
OPTIONS: list[dict[str, Any]] = [
    {},
    {"num_layers": 2},
    {"bidirectional": True},
    {"batch_first": True, "bias": False},
    {"num_layers": 2, "bidirectional": True, "batch_first": True, "dropout": 0.5},
]
kinds = pytest.mark.parametrize("kind", KINDS)
CASES = [(kind, options) for kind in KINDS for options in OPTIONS]
CASES += [
    ("LSTM", {"proj_size": 3}),
    ("LSTM", {"proj_size": 2, "bidirectional": True, "num_layers": 2}),
]
options_of_both = pytest.mark.parametrize(("kind", "options"), CASES, ids=str)


def pair(kind: str, **options: Any) -> tuple[Any, Any]:
    """A stochastic layer and the plain one that it has been made from."""
    ours, plain = KINDS[kind]
    module = plain(5, 4, **options)
    return ours.from_module(module, scale=0.5), module


def equal(ours: Any, plain: Any) -> bool:
    if isinstance(plain, Tensor):
        return torch.equal(ours, plain)
    return len(ours) == len(plain) and all(map(equal, ours, plain))


def shapes(value: Any) -> Any:
    return list(value.shape) if isinstance(value, Tensor) else [shapes(part) for part in value]


@options_of_both
@pytest.mark.parametrize("size", [(6, 2, 5), (6, 5), (1, 1, 5)], ids=str)
def test_it_stands_where_the_plain_layer_stands(
    kind: str, options: dict[str, Any], size: tuple[int, ...]
) -> None:
    layer, plain = pair(kind, **options)
    fresh = KINDS[kind][0](5, 4, **options)
    x = torch.randn(size)
    assert shapes(fresh(x)) == shapes(layer(x)) == shapes(plain(x))
    assert {k: v.shape for k, v in fresh.state_dict().items()} == {
        k: v.shape for k, v in layer.state_dict().items()
    }
    state = plain(torch.randn_like(x))[1]
    for given in (None, state):
        with sf.sampling(layer.eval(), "mean"):
            assert equal(layer(x, given), plain.eval()(x, given))
        assert equal(layer(x, given)[1], plain(x, given)[1])
        assert (layer(x, given)[0] != plain(x, given)[0]).all()


@kinds
def test_constructor_and_properties_are_those_of_the_plain_layer(kind: str) -> None:
    options = {"num_layers": 2, "bidirectional": True, "batch_first": True, "dropout": 0.25}
    layer, plain = pair(kind, **options)
    for name in ("input_size", "hidden_size", "bias", "proj_size", *options):
        assert getattr(layer, name) == getattr(plain, name)
    layer.flatten_parameters()
    torch.manual_seed(1)
    made = KINDS[kind][0](5, 4, **options)
    torch.manual_seed(1)
    same = KINDS[kind][1](5, 4, **options)
    assert all(torch.equal(made.trunk.get_parameter(k), v) for k, v in same.named_parameters())


@options_of_both
def test_the_config_is_json_and_makes_the_layer_again(kind: str, options: dict[str, Any]) -> None:
    ours = KINDS[kind][0]
    layer = ours(5, 4, **options, noise=Laplace(0.1), bound=(-1, 1), scale=0.3)
    config = json.loads(json.dumps(layer.config()))
    assert config.pop("noise") == {"law": "Laplace", "min_scale": 0.1}
    again = ours(**{**config, "bound": (-1, 1)}, noise=Laplace(0.1))
    assert again.config() == layer.config()
    assert options.items() <= config.items()
    assert repr(layer).startswith(f"Stochastic{kind}(") and "noise=Laplace" in repr(layer)


@kinds
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("sort", [False, True])
def test_a_packed_sequence(kind: str, batch_first: bool, sort: bool) -> None:
    layer, plain = pair(kind, bidirectional=True, batch_first=batch_first)
    lengths = torch.tensor([4, 3, 1] if sort else [3, 1, 4])
    x = torch.randn((3, 4, 5) if batch_first else (4, 3, 5))
    packed = pack_padded_sequence(x, lengths, batch_first, enforce_sorted=sort)
    eps = torch.randn(8, 8)
    (sample, state), (expected, clean) = layer(packed, None, eps), plain(packed)
    assert isinstance(sample, PackedSequence)
    assert equal(state, clean)
    torch.testing.assert_close(sample.data, expected.data + 0.5 * eps)
    assert torch.equal(sample.batch_sizes, expected.batch_sizes)
    for mine, theirs in zip(sample[2:], expected[2:], strict=True):
        assert (mine is theirs is None) if sort else equal(mine, theirs)
    assert equal(layer(packed, clean)[1], plain(packed, clean)[1])
    with sf.sampling(layer, "mean"):
        assert torch.equal(layer(packed)[0].data, expected.data)
    assert [p.shape for p in layer.params(packed)] == [(8, 8), (8, 8)]


@kinds
def test_fresh_noise_for_each_record_step_and_call(kind: str) -> None:
    layer, plain = pair(kind)
    x = torch.ones(1, 1, 5).expand(7, 3, 5)
    noise = torch.stack([layer(x)[0] - plain(x)[0] for _ in range(2)])
    assert len(noise.flatten().unique()) > 0.99 * noise.numel()


@kinds
def test_the_noise_is_not_fed_back(kind: str) -> None:
    layer, plain = pair(kind)
    x, eps = torch.randn(6, 2, 5), torch.zeros(6, 2, 4)
    eps[0] = 100.0
    sample, state = layer(x, None, eps)
    assert equal((sample[1:], state), (plain(x)[0][1:], plain(x)[1]))


@kinds
def test_moments(kind: str) -> None:
    """Mean and standard deviation of every element follow `params`.

    n = 20,000 draws, seed 0, 12 elements: each mean within 6 standard errors and each standard
    deviation within 6 of its own, a false alarm of 24 x 2e-9 over seeds (the second to first order
    in 1 / n).
    """
    layer = KINDS[kind][0](5, 4)
    n, x = 20_000, torch.randn(3, 1, 5)
    with torch.no_grad():
        location, scale = layer.params(x)
        draws = layer(x.expand(-1, n, -1))[0]
    assert ((draws.mean(1, keepdim=True) - location).abs() < 6 * scale / n**0.5).all()
    assert ((draws.std(1, keepdim=True) / scale - 1).abs() < 6 / (2 * n) ** 0.5).all()


@kinds
def test_the_formula(kind: str) -> None:
    layer = KINDS[kind][0](5, 4, noise=Gaussian(0.1), bound=(-0.05, 0.05), dtype=torch.float64)
    x, eps = torch.randn(6, 2, 5).double(), torch.randn(6, 2, 4).double()
    y, _ = layer.trunk(x)
    raw = y @ layer.head.weight.T + layer.head.bias
    expected = y.clamp(-0.05, 0.05) + (torch.log1p(raw.exp()) + 0.1) * eps
    torch.testing.assert_close(layer(x, None, eps)[0], expected)
    assert torch.equal(layer(x, None, eps)[0], layer(x, eps=eps)[0])
    with sf.sampling(layer, "mean"):
        torch.testing.assert_close(layer(x)[0], y.clamp(-0.05, 0.05))


@pytest.mark.parametrize("law", [Gaussian(), Laplace(), Binomial(5), Multinomial(3)], ids=str)
@kinds
def test_every_law(kind: str, law: Any) -> None:
    layer = KINDS[kind][0](5, 4, noise=law)
    assert layer.head.weight.shape == (4, 4)  # the scale, or logits in place of a location
    x = torch.randn(6, 2, 5)
    sample, _ = layer(x)
    assert sample.shape == (6, 2, 4)
    sample.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters())
    if isinstance(law, Multinomial):
        assert (sample.sum(-1) == 3).all() and layer.noise.axis == -1
    with sf.sampling(layer, "mean"):
        torch.testing.assert_close(layer(x)[0], law.over(-1).mean(layer.params(x)))


@kinds
def test_a_scale_to_start_from(kind: str) -> None:
    layer = KINDS[kind][0](5, 4, scale=0.25)
    _, scale = layer.params(torch.randn(6, 2, 5))
    torch.testing.assert_close(scale, torch.full_like(scale, 0.25))
    for law in (Binomial(3), Multinomial()):
        with pytest.raises(SettingError, match="has no scale to start at"):
            KINDS[kind][0](5, 4, noise=law, scale=0.25)
    with pytest.raises(SettingError, match="not above min_scale"):
        KINDS[kind][0](5, 4, scale=1e-4)


@kinds
def test_recording(kind: str) -> None:
    layer, plain = pair(kind)
    x = torch.randn(6, 2, 5)
    with sf.record(layer) as rec:
        sample, _ = layer(x)
    ((location, scale),) = rec.params.values()
    torch.testing.assert_close(location, plain(x)[0])
    torch.testing.assert_close(scale, torch.full((6, 2, 4), 0.5))
    torch.testing.assert_close(rec.log_scales[f"Stochastic{kind}"], scale.log())
    assert torch.equal(rec.samples[f"Stochastic{kind}"], sample)
    torch.testing.assert_close(layer.distribution(x).mean, location)


@kinds
def test_draws_are_averaged_over_the_network(kind: str) -> None:
    """n = 4,000 draws of scale 0.5, seed 0: 6 standard errors of 48 elements, 1e-7 over seeds."""

    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.plain = pair(kind, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x)[0]

    network, x = Last(), torch.randn(2, 6, 5)
    with sf.sampling(network, 4_000), torch.no_grad():
        mean = network(x)
    assert ((mean - network.plain(x)[0]).abs() < 6 * 0.5 / 4_000**0.5).all()


BAD: dict[str, tuple[Any, str]] = {
    "width": (torch.zeros(6, 2, 4), r"was made for 5 input features, but .*\[6, 2, 4\] has 4"),
    "axes": (torch.zeros(1, 6, 2, 5), r"needs an input of \[T, B, in\] or \[T, in\], not \[1, 6"),
    "one axis": (torch.zeros(5), r"needs an input of .* or \[T, in\], not \[5\]"),
    "integers": (torch.zeros(6, 2, 5).long(), r"reads real numbers, not torch.int64"),
    "no steps": (torch.zeros(0, 2, 5), r"needs at least one step, but the input is \[0, 2, 5\]"),
    "packed": (pack_sequence([torch.zeros(3, 4)]), r"was made for 5 input features"),
}


@kinds
@pytest.mark.parametrize("case", BAD)
def test_bad_input(kind: str, case: str) -> None:
    wrong, message = BAD[case]
    layer, _ = pair(kind)
    for call in (layer, layer.params):
        with pytest.raises(DataError, match=f"Stochastic{kind} {message}") as raised:
            call(wrong)
        assert "\n" not in str(raised.value)


def test_bad_states() -> None:
    x, right, wrong = torch.zeros(6, 2, 5), torch.zeros(1, 2, 4), torch.zeros(1, 3, 4)
    lstm, gru = sf.nn.StochasticLSTM(5, 4), sf.nn.StochasticGRU(5, 4)
    assert lstm(x, (right, right))[0].shape == gru(x, right)[0].shape
    with pytest.raises(
        DataError, match=r"StochasticLSTM must be \(\[1, 2, 4\], \[1, 2, 4\]\), not"
    ):
        lstm(x, (right, wrong))
    for state in (right, (right,), (right, None)):
        with pytest.raises(DataError, match="the state of StochasticLSTM must be"):
            lstm(x, state)
    with pytest.raises(DataError, match=r"StochasticGRU must be \[1, 2, 4\], not \[1, 3, 4\]"):
        gru(x, wrong)
    with pytest.raises(DataError, match="the state of StochasticGRU must be"):
        gru(x[:, 0], right)


@kinds
@pytest.mark.parametrize("change", [lambda e: e[:1], lambda e: e[:, :1], lambda e: e[..., :1]])
def test_eps_has_the_shape_of_the_sample(kind: str, change: Any) -> None:
    layer, _ = pair(kind)
    with pytest.raises(DataError, match="eps must have the shape"):
        layer(torch.zeros(6, 2, 5), None, change(torch.zeros(6, 2, 4)))


@kinds
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_size": 0}, "input_size must be at least 1, not 0"),
        ({"hidden_size": -1}, "hidden_size must be at least 1, not -1"),
        ({"num_layers": 0}, "num_layers must be at least 1, not 0"),
        ({"dropout": 2.0}, "torch refuses these settings: dropout should be a number in range"),
        ({"noise": Binomial(2), "bound": (0, 1)}, "bound clamps a location, and Binomial has none"),
    ],
)
def test_settings(kind: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        KINDS[kind][0](**{"input_size": 5, "hidden_size": 4, **options})


def test_a_projection_must_be_smaller() -> None:
    with pytest.raises(SettingError, match="proj_size has to be smaller than hidden_size"):
        sf.nn.StochasticLSTM(5, 4, proj_size=4)
