"""StochasticTransformerEncoderLayer: torch's own layer, its output sampled."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import sfumato as sf
from sfumato.errors import DataError, SettingError, StoreError
from sfumato.noise import Binomial, Gaussian, Laplace, Multinomial

Layer = sf.nn.StochasticTransformerEncoderLayer
OPTIONS: list[dict[str, Any]] = [
    {},
    {"batch_first": True},
    {"norm_first": True, "activation": "gelu"},
    {"batch_first": True, "bias": False, "layer_norm_eps": 1e-3},
    {"activation": F.silu, "dropout": 0.5},
    {"activation": nn.GELU()},
]
options_of_it = pytest.mark.parametrize("options", OPTIONS, ids=range(len(OPTIONS)))
PADDING = torch.tensor([[False] * 6, [False] * 4 + [True] * 2])
nested = pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors is in prototype")


def pair(**options: Any) -> tuple[Any, nn.TransformerEncoderLayer]:
    """A stochastic layer of scale 0.5, and the plain one that it has been made from."""
    module = nn.TransformerEncoderLayer(4, 2, 8, **options)
    return Layer.from_module(module, scale=0.5), module


@options_of_it
@pytest.mark.parametrize("size", [(6, 2, 4), (6, 4)], ids=str)
@pytest.mark.parametrize("grad", [True, False])
def test_it_stands_where_the_plain_layer_stands(
    options: dict[str, Any], size: tuple[int, ...], grad: bool
) -> None:
    """Without gradients and in eval mode torch takes its fused path: so does the layer."""
    layer, plain = pair(**options)
    fresh = Layer(4, 2, 8, **options)
    x, mask = torch.randn(size), torch.ones(6, 6).triu(1).bool()
    if options.get("batch_first") and len(size) == 3:
        x = x.transpose(0, 1)
    layer.eval()
    plain.eval()
    with torch.set_grad_enabled(grad):
        assert fresh(x).shape == layer(x).shape == plain(x).shape
        padding = PADDING[:1][0] if x.dim() == 2 else PADDING
        for more in ((), (mask,), (None, padding), (mask, None, True), (mask, padding)):
            with sf.sampling(layer, "mean"):
                assert torch.equal(layer(x, *more), plain(x, *more))
            assert (layer(x, *more) != plain(x, *more)).all()


def test_dropout_is_the_plain_layers() -> None:
    layer, plain = pair(dropout=0.5)
    x = torch.randn(6, 2, 4)
    outputs = []
    with sf.sampling(layer, "mean"):
        for module in (layer, plain):
            torch.manual_seed(3)
            outputs.append(module(x))
        assert torch.equal(*outputs)
        assert not torch.equal(layer(x), layer(x))
        assert torch.equal(layer.eval()(x), layer(x))


@options_of_it
def test_the_config_is_json_and_makes_the_layer_again(options: dict[str, Any]) -> None:
    layer = Layer(4, 2, 8, **options, noise=Laplace(0.1), bound=(-1, 1), scale=0.3)
    config = json.loads(json.dumps(layer.config()))
    assert config.pop("noise") == {"law": "Laplace", "min_scale": 0.1}
    assert "d_model=4, nhead=2, dim_feedforward=8" in repr(layer) and "noise=Laplace" in repr(layer)
    if "activation" in options:
        assert config["activation"] in ("gelu", "torch.nn.functional.silu")
    if config["activation"] in ("relu", "gelu"):
        again = Layer(**{**config, "bound": (-1, 1)}, noise=Laplace(0.1))
        assert again.config() == layer.config()


def test_from_a_trained_layer() -> None:
    module = nn.TransformerEncoderLayer(4, 2, 8, 0.3, "gelu", 1e-3, True, True, dtype=torch.double)
    module.eval().linear1.requires_grad_(False)
    layer = Layer.from_module(module, Laplace(), (-1, 1))
    again = Layer(4, 2, 8, 0.3, "gelu", 1e-3, True, True, noise=Laplace(), bound=(-1, 1))
    assert layer.config() == again.config()
    assert not layer.training and not layer.trunk.training
    assert {p.dtype for p in layer.parameters()} == {torch.double}
    assert [n for n, p in layer.named_parameters() if not p.requires_grad] == [
        "trunk.linear1.weight",
        "trunk.linear1.bias",
    ]
    with torch.no_grad():
        module.linear2.weight.zero_()
    assert layer.trunk.linear2.weight.all()


@pytest.mark.parametrize("law", [Gaussian(), Laplace(), Binomial(5), Multinomial(3)], ids=str)
def test_every_law(law: Any) -> None:
    layer, x = Layer(4, 2, 8, noise=law), torch.randn(6, 2, 4)
    sample = layer(x)
    assert sample.shape == x.shape
    sample.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters())
    if isinstance(law, Multinomial):
        assert (sample.sum(-1) == 3).all() and layer.noise.over(-1) == layer.noise
    with sf.sampling(layer.eval(), "mean"):
        torch.testing.assert_close(layer(x), law.over(-1).mean(layer.params(x)))


def test_the_formula() -> None:
    layer = Layer(4, 2, 8, 0.0, noise=Gaussian(0.1), bound=(-0.5, 0.5), dtype=torch.float64)
    x, eps = torch.randn(6, 2, 4).double(), torch.randn(6, 2, 4).double()
    y = layer.trunk(x)
    raw = y @ layer.head.weight.T + layer.head.bias  # type: ignore[union-attr]
    expected = y.clamp(-0.5, 0.5) + (torch.log1p(raw.exp()) + 0.1) * eps
    torch.testing.assert_close(layer(x, eps=eps), expected)
    with sf.sampling(layer, "mean"):
        torch.testing.assert_close(layer(x), y.clamp(-0.5, 0.5))


def test_moments() -> None:
    """Mean and standard deviation of every element follow `params`.

    n = 20,000 draws, seed 0, 12 elements: each mean within 6 standard errors and each standard
    deviation within 6 of its own, a false alarm of 24 x 2e-9 over seeds (the second to first order
    in 1 / n).
    """
    layer, n, x = Layer(4, 2, 8, 0.0), 20_000, torch.randn(3, 1, 4)
    with torch.no_grad():
        location, scale = layer.params(x)
        draws = layer(x.expand(-1, n, -1))
    assert ((draws.mean(1, keepdim=True) - location).abs() < 6 * scale / n**0.5).all()
    assert ((draws.std(1, keepdim=True) / scale - 1).abs() < 6 / (2 * n) ** 0.5).all()


def test_fresh_noise_for_each_record_step_and_call() -> None:
    layer, plain = pair(dropout=0.0)
    x = torch.ones(1, 1, 4).expand(7, 3, 4)
    noise = torch.stack([layer(x) - plain(x) for _ in range(2)])
    assert len(noise.flatten().unique()) > 0.99 * noise.numel()


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("grad", [False, True])
def test_inside_torchs_encoder(batch_first: bool, training: bool, grad: bool) -> None:
    layer, plain = pair(batch_first=batch_first, dropout=0.0)
    ours = nn.TransformerEncoder(layer, 2, nn.LayerNorm(4), enable_nested_tensor=False)
    theirs = nn.TransformerEncoder(plain, 2, nn.LayerNorm(4), enable_nested_tensor=False)
    ours.train(training)
    theirs.train(training)
    x, mask = torch.randn(2, 6, 4), nn.Transformer.generate_square_subsequent_mask(6)
    x = x if batch_first else x.transpose(0, 1)
    with torch.set_grad_enabled(grad):
        for more in ({}, {"mask": mask}, {"src_key_padding_mask": PADDING}):
            with sf.sampling(ours, "mean"):
                torch.testing.assert_close(ours(x, **more), theirs(x, **more))
            assert (ours(x, **more) != theirs(x, **more)).all()
        with sf.record(ours) as rec:
            ours(x)
    assert set(rec.samples) == {"layers.0", "layers.1"}
    names = [name for name, _ in ours.named_parameters()]
    assert len(names) == len(set(names)) == len(ours.state_dict())
    assert "layers.0.self_attn.in_proj_weight" not in names


@nested
@pytest.mark.parametrize("which", [[0], [1], [0, 1]], ids=str)
def test_inside_an_encoder_that_leaves_padding_out(which: list[int]) -> None:
    """In inference torch's encoder hands on a nested tensor, which has no padding."""
    theirs = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), 2).eval()
    ours = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), 2).eval()
    ours.load_state_dict(theirs.state_dict())
    for index in which:
        ours.layers[index] = Layer.from_module(ours.layers[index], scale=0.5)
    x = torch.randn(2, 6, 4)
    seen = []
    ours.layers[1].register_forward_pre_hook(lambda _, args: seen.append(args[0].is_nested))
    with torch.no_grad():
        with sf.sampling(ours, "mean"):
            torch.testing.assert_close(
                ours(x, src_key_padding_mask=PADDING), theirs(x, src_key_padding_mask=PADDING)
            )
        sample = ours(x, src_key_padding_mask=PADDING)
        with sf.record(ours) as rec:
            ours(x, src_key_padding_mask=PADDING)
    assert (sample != theirs(x, src_key_padding_mask=PADDING))[~PADDING].all()
    assert not sample[PADDING].any()
    assert seen and all(seen)
    assert {tuple(s.shape) for s in rec.samples.values()} == {(10, 4)}


@nested
def test_eps_of_a_nested_tensor() -> None:
    layer, plain = pair(batch_first=True)
    layer.eval()
    plain.eval()
    x = torch.nested.as_nested_tensor([torch.randn(6, 4), torch.randn(4, 4)])
    eps = torch.randn(10, 4)
    with torch.no_grad():
        sample, clean = layer(x, eps=eps), plain(x)
        found = torch.cat(sample.unbind()) - torch.cat(clean.unbind())
        torch.testing.assert_close(found, 0.5 * eps)
        with pytest.raises(DataError, match=r"eps must have the shape \[10, 4\]"):
            layer(x, eps=eps[:4])


def test_what_torchs_encoder_says_of_layers_that_are_not_its_own() -> None:
    with pytest.warns(UserWarning, match="encoder_layer was not TransformerEncoderLayer"):
        nn.TransformerEncoder(pair(batch_first=True)[0], 2)


def test_recording() -> None:
    layer, plain = pair(dropout=0.0)
    x = torch.randn(6, 2, 4)
    with sf.record(layer) as rec:
        sample = layer(x)
    ((location, scale),) = rec.params.values()
    torch.testing.assert_close(location, plain(x))
    torch.testing.assert_close(scale, torch.full((6, 2, 4), 0.5))
    assert torch.equal(rec.samples["StochasticTransformerEncoderLayer"], sample)
    torch.testing.assert_close(next(iter(rec.log_scales.values())), scale.log())


def test_draws_are_averaged() -> None:
    """n = 4,000 draws of scale 0.5, seed 0: 6 standard errors of 48 elements, 1e-7 over seeds."""
    layer, plain = pair(batch_first=True, dropout=0.0)
    x = torch.randn(2, 6, 4)
    with sf.sampling(layer, 4_000), torch.no_grad():
        mean = layer(x)
    assert ((mean - plain(x)).abs() < 6 * 0.5 / 4_000**0.5).all()


X = torch.zeros(6, 2, 4)
BAD: dict[str, tuple[tuple[Tensor | None, ...], str]] = {
    "width": ((X[..., :3],), r"was made for 4 input features, but the input \[6, 2, 3\] has 3"),
    "axes": ((X[None],), r"needs an input of \[T, B, d_model\] or \[T, d_model\], not \[1, 6"),
    "one axis": ((X[0, 0],), r"or \[T, d_model\], not \[4\]"),
    "integers": ((X.long(),), "reads real numbers, not torch.int64"),
    "mask": (
        (X, torch.zeros(5, 6)),
        r"src_mask must be \[6, 6\] or \[4, 6, 6\] for .* not \[5, 6\]",
    ),
    "mask of heads": ((X, torch.zeros(3, 6, 6)), r"src_mask must be .* not \[3, 6, 6\]"),
    "padding": (
        (X, None, torch.zeros(6, 2).bool()),
        r"src_key_padding_mask must be \[2, 6\] for an input of \[6, 2, 4\], not \[6, 2\]",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str) -> None:
    wrong, message = BAD[case]
    layer = Layer(4, 2, 8)
    for call in (layer, layer.params):
        with pytest.raises(DataError, match=message) as raised:
            call(*wrong)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("change", [lambda e: e[:1], lambda e: e[:, :1], lambda e: e[..., :1]])
def test_eps_has_the_shape_of_the_sample(change: Any) -> None:
    with pytest.raises(DataError, match="eps must have the shape"):
        Layer(4, 2, 8)(X, eps=change(X))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"d_model": 0}, "d_model must be at least 1, not 0"),
        ({"nhead": 0}, "nhead must be at least 1"),
        ({"dim_feedforward": 0}, "dim_feedforward must be at least 1"),
        ({"nhead": 3}, "torch refuses these settings: embed_dim must be divisible by num_heads"),
        ({"activation": "tanh"}, "is 'relu' or 'gelu', not 'tanh': give the function itself"),
        ({"scale": 0.0}, "not above min_scale"),
        ({"scale": 1.0, "noise": Binomial(2)}, "Binomial has no scale to start at"),
    ],
)
def test_settings(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Layer(**{"d_model": 4, "nhead": 2, "dim_feedforward": 8, **options})


NAMED: list[tuple[Any, str]] = [
    ("relu", "relu"),
    (F.relu, "relu"),
    (nn.ReLU(), "relu"),
    ("gelu", "gelu"),
    (F.gelu, "gelu"),
    (nn.GELU(), "gelu"),
]


def relu(x: Tensor) -> Tensor:
    """Not torch's."""
    return x.sin()


OTHERS: list[Any] = [
    nn.GELU(approximate="tanh"),
    partial(F.gelu, approximate="tanh"),
    partial(F.gelu, approximate="none"),
    F.silu,
    nn.SiLU(),
    nn.LeakyReLU(0.1),
    nn.LeakyReLU(0.2),
    torch.tanh,
    relu,
]


@pytest.mark.parametrize(("activation", "name"), NAMED, ids=range(len(NAMED)))
def test_an_activation_that_has_a_name(activation: Any, name: str) -> None:
    assert Layer(4, 2, 8, activation=activation).config()["activation"] == name


def test_other_activations_have_texts_that_are_no_names(tmp_path: Path) -> None:
    """Nothing tells the function to whoever loads it: the layer must be given, and it is said."""
    torch.manual_seed(0)
    given = sf.Obfuscator(Layer(4, 2, 8, batch_first=True))
    digests, texts = {given.digest()}, set()
    for activation in OTHERS:
        layer = Layer(4, 2, 8, activation=activation, batch_first=True)
        layer.load_state_dict(given.layer.state_dict())
        texts.add(json.dumps(layer.config()["activation"]))
        obfuscator = sf.Obfuscator(layer)
        digests.add(obfuscator.digest())
        obfuscator.save(tmp_path)
        with pytest.raises(StoreError, match=r"activation by name .* pass it as layer=\.\.\."):
            sf.Obfuscator.load(tmp_path)
        fresh = Layer(4, 2, 8, activation=activation, batch_first=True)
        again = sf.Obfuscator.load(tmp_path, layer=fresh, unaudited_ok=True)
        assert again.digest() == obfuscator.digest()
    assert len(digests) == 1 + len(OTHERS) and len(texts) == len(OTHERS)
