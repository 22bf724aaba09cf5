"""Stochastic and Bayesian support vector machines, held against scikit-learn's."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC, LinearSVC
from torch import Tensor, nn
from torch.func import vmap

import sfumato as sf
from sfumato.errors import DataError, SettingError
from sfumato.noise import Binomial, Laplace, Multinomial

GAMMA = 0.1
KERNELS: dict[str, dict[str, Any]] = {
    "linear": {},
    "rbf": {"kernel": "rbf", "gamma": GAMMA, "num_features": 32},
}
kernels = pytest.mark.parametrize("kernel", KERNELS)
Digits = tuple[Tensor, Tensor, Tensor, Tensor]


@pytest.fixture(scope="module")
def digits() -> Digits:
    """Half of the digits to learn from and half to test on, pixels in [0, 1]."""
    x, y = load_digits(return_X_y=True)
    parts = train_test_split(x / 16, y, test_size=0.5, random_state=0, stratify=y)
    x_train, x_test, y_train, y_test = map(torch.as_tensor, parts)
    return x_train, x_test, y_train, y_test


def accuracy(layer: nn.Module, digits: Digits) -> float:
    with sf.sampling(layer, "mean"), torch.no_grad():
        return (layer(digits[1]).argmax(1) == digits[3]).double().mean().item()


def fit(layer: nn.Module, learning: list[Tensor], digits: Digits, c: float, steps: int) -> None:
    """Minimise scikit-learn's objective, |w|² / 2 + c Σ hinge², over the mean of the layer."""
    x, _, y, _ = digits
    optimizer = torch.optim.LBFGS(
        learning, max_iter=steps, tolerance_grad=1e-6, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        decay = torch.stack([p.square().sum() for p in learning]).sum() / (2 * c * len(x))
        total = sf.objectives.multiclass_hinge(layer(x), y, squared=True) + decay
        total.backward()
        return total

    with sf.sampling(layer, "mean"):
        optimizer.step(loss)


def machine(form: str, kernel: str) -> tuple[Any, list[Tensor]]:
    """An untrained machine and what of it makes the mean; seed 0."""
    sizes = {**KERNELS[kernel], **({"num_features": 1024} if kernel == "rbf" else {})}
    if form == "stochastic":
        layer = sf.nn.StochasticSVM(64, 10, **sizes, dtype=torch.float64)
        return layer, [layer.weight, layer.bias]  # type: ignore[list-item]
    layer = sf.nn.BayesianSVM(64, 10, **sizes, dtype=torch.float64)
    return layer, [layer.scores.weight, layer.scores.bias]  # type: ignore[list-item]


@pytest.mark.parametrize("form", ["stochastic", "bayesian"])
def test_linear_is_scikit_learns(form: str, digits: Digits) -> None:
    """It minimises one function, so the weights agree, and with them every prediction.

    898 digits to learn from, 899 to test on, split with seed 0; the bias is decayed as LinearSVC
    does. The accuracy of all is 0.960.
    """
    peer = LinearSVC(C=1.0, random_state=0, tol=1e-8, max_iter=10_000)
    peer.fit(digits[0].numpy(), digits[2].numpy())
    layer, learning = machine(form, "linear")
    fit(layer, learning, digits, c=1.0, steps=200)
    theirs = peer.score(digits[1].numpy(), digits[3].numpy())
    assert abs(accuracy(layer, digits) - theirs) <= 0.01
    torch.testing.assert_close(
        learning[0][:10].detach(), torch.as_tensor(peer.coef_), rtol=0, atol=2e-3
    )


@pytest.mark.parametrize("form", ["stochastic", "bayesian"])
def test_rbf_is_as_accurate_as_scikit_learns(form: str, digits: Digits) -> None:
    """The split of the linear test, 1,024 random features, seed 0: 0.981 to 0.984 over seeds 0 to
    4, against 0.990 of scikit-learn's exact kernel with the same γ and C."""
    peer = SVC(C=10.0, gamma=GAMMA).fit(  # type: ignore[arg-type]
        digits[0].numpy(), digits[2].numpy()
    )
    layer, learning = machine(form, "rbf")
    fit(layer, learning, digits, c=10.0, steps=60)
    theirs = peer.score(digits[1].numpy(), digits[3].numpy())
    assert accuracy(layer, digits) >= theirs - 0.015


def test_it_learns_under_its_own_noise(digits: Digits) -> None:
    """Seed 0, Adam, 200 full batches: the mean predicts well, and a sample nearly as well."""
    layer = sf.nn.StochasticSVM(64, 10, dtype=torch.float64)
    optimizer = torch.optim.Adam(layer.parameters(), 0.05)
    for _ in range(200):
        optimizer.zero_grad()
        loss = sf.objectives.multiclass_hinge(layer(digits[0]), digits[2])
        loss.backward()
        optimizer.step()
    assert accuracy(layer, digits) > 0.9
    with torch.no_grad():
        sampled = (layer(digits[1]).argmax(1) == digits[3]).double().mean().item()
    assert sampled > 0.8
    assert (layer(digits[1]) != layer(digits[1])).any()


def test_random_features_approach_the_kernel() -> None:
    """z(x)·z(y) against exp(-γ |x - y|²) for 66 pairs.

    n = 20,000 features, seed 0: each error within 6 of the largest standard deviation, 1 / √n; a
    false alarm of 66 x 2e-9 over seeds.
    """
    x = torch.randn(12, 5, dtype=torch.float64)
    features = sf.nn.RandomFourierFeatures(5, 20_000, GAMMA, dtype=torch.float64)
    found = features(x) @ features(x).T
    wanted = torch.exp(-GAMMA * torch.cdist(x, x).square())
    assert ((found - wanted).abs() < 6 / 20_000**0.5).all()


def test_the_formula_of_random_features() -> None:
    features, x = sf.nn.RandomFourierFeatures(5, 7, dtype=torch.float64), torch.randn(2, 3, 5)
    omega, b = features.frequencies, features.phases
    wanted = (2 / 7) ** 0.5 * torch.cos(torch.einsum("bti,di->btd", x.double(), omega) + b)
    torch.testing.assert_close(features(x.double()), wanted)
    assert features.gamma == 0.2
    assert (b >= 0).all()
    assert (b <= 2 * torch.pi).all()
    assert repr(features) == "RandomFourierFeatures(in_features=5, num_features=7, gamma=0.2)"


@kernels
def test_the_formula(kernel: str) -> None:
    options: dict[str, Any] = {**KERNELS[kernel], "noise": Laplace(0.1), "bound": (-0.2, 0.2)}
    layer = sf.nn.StochasticSVM(5, 3, **options)
    x, eps = torch.randn(4, 5), torch.randn(4, 3)
    raw = layer.features(x) @ layer.weight.T + layer.bias
    location, scale = raw[:, :3].clamp(-0.2, 0.2), torch.log1p(raw[:, 3:].exp()) + 0.1
    torch.testing.assert_close(layer(x, eps), location + scale * eps)
    torch.testing.assert_close(layer.params(x), (location, scale))
    with sf.sampling(layer, "mean"):
        torch.testing.assert_close(layer(x), location)


@kernels
@pytest.mark.parametrize("law", [Binomial(4), Multinomial()], ids=str)
def test_discrete_scores(kernel: str, law: Any) -> None:
    layer, x = sf.nn.StochasticSVM(5, 3, **KERNELS[kernel], noise=law), torch.randn(4, 5)
    scores = layer(x)
    assert scores.shape == (4, 3)
    scores.square().sum().backward()
    assert layer.weight.grad is not None
    if isinstance(law, Multinomial):
        assert (scores.sum(1) == 1).all()


@kernels
def test_gradients(kernel: str) -> None:
    layer = sf.nn.StochasticSVM(5, 3, **KERNELS[kernel], dtype=torch.float64)
    x = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    eps = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (x, eps), fast_mode=True)
    layer(x).sum().backward()
    assert not any(buffer.requires_grad for buffer in layer.buffers())


@kernels
def test_noise_is_fresh_for_each_record_and_call(kernel: str) -> None:
    layer, x = sf.nn.StochasticSVM(5, 3, **KERNELS[kernel]), torch.ones(4, 5)
    assert (layer(x)[0] != layer(x)[1]).all()
    with sf.record(layer) as rec:
        scores = layer(x)
    assert torch.equal(rec.samples["StochasticSVM"], scores)
    assert rec.log_scales["StochasticSVM"].shape == (4, 3)


@kernels
@pytest.mark.parametrize("make", [sf.nn.StochasticSVM, sf.nn.BayesianSVM])
def test_state(make: Any, kernel: str, tmp_path: Path) -> None:
    """Ω and b are saved: without them the weights would mean nothing."""
    layer, x = make(5, 3, **KERNELS[kernel]), torch.randn(4, 5)
    layer(x)
    twin, fresh = copy.deepcopy(layer), make(5, 3, **KERNELS[kernel])
    names = set(layer.state_dict())
    buffers = {"features.frequencies", "features.phases"} if kernel == "rbf" else set()
    assert names - set(dict(layer.named_parameters())) == buffers
    save_file(layer.state_dict(), tmp_path / "layer.safetensors")
    fresh.load_state_dict(load_file(tmp_path / "layer.safetensors"))
    for other in (twin, fresh):
        with sf.sampling(other, "mean"), sf.sampling(layer, "mean"):
            assert torch.equal(other(x), layer(x))


@kernels
@pytest.mark.parametrize("make", [sf.nn.StochasticSVM, sf.nn.BayesianSVM])
def test_the_config_is_json(make: Any, kernel: str) -> None:
    layer = make(5, 3, **KERNELS[kernel])
    config = json.loads(json.dumps(layer.config()))
    assert config["noise"] == {"law": "Gaussian", "min_scale": 1e-3}
    sizes = {k: v for k, v in config.items() if k not in ("noise", "bound", "prior")}
    assert make(**sizes).config() == layer.config()


@kernels
def test_dtypes_and_devices(kernel: str) -> None:
    for dtype in (torch.bfloat16, torch.float64):
        layer = sf.nn.StochasticSVM(5, 3, **KERNELS[kernel], dtype=dtype)
        assert layer(torch.randn(4, 5, dtype=dtype)).dtype == dtype
        with sf.record(layer) as rec:
            layer(torch.randn(4, 5, dtype=dtype))
        assert rec.params["StochasticSVM"][0].dtype in (torch.float32, torch.float64)
    layer = sf.nn.StochasticSVM(5, 3, **KERNELS[kernel], device="meta")
    assert layer(torch.zeros(4, 5, device="meta")).shape == (4, 3)
    layer = sf.nn.StochasticSVM(5, 3, **KERNELS[kernel])
    assert layer(torch.zeros(0, 5)).shape == (0, 3)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.zeros(4, 5)).dtype == torch.bfloat16


@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")
@kernels
def test_transforms(kernel: str) -> None:
    layer, x, eps = sf.nn.StochasticSVM(5, 3, **KERNELS[kernel]), torch.ones(4, 5), torch.ones(4, 3)
    drawn = vmap(lambda v: layer(v[None])[0], randomness="different")(x)
    assert (drawn[0] != drawn[1]).all()
    graph = torch.export.export(layer, (x,)).module()
    assert (graph(x) != graph(x)).all()
    torch.compiler.reset()
    graph = torch.compile(layer, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(graph(x, eps), layer(x, eps))
    torch.compiler.reset()


@kernels
def test_the_divergence_of_a_bayesian_machine_counts_once(kernel: str) -> None:
    layer = sf.nn.BayesianSVM(5, 3, **KERNELS[kernel])
    torch.testing.assert_close(sf.objectives.kl(nn.Sequential(layer)), layer.scores.kl())
    torch.testing.assert_close(layer.kl(), layer.scores.kl())
    assert (layer(torch.ones(1, 5)) != layer(torch.ones(1, 5))).all()


MAKERS: list[Any] = [
    sf.nn.StochasticSVM,
    sf.nn.BayesianSVM,
]


@pytest.mark.parametrize("make", MAKERS)
@kernels
def test_bad_input(make: Any, kernel: str) -> None:
    layer = make(5, 3, **KERNELS[kernel])
    name = type(layer).__name__
    with pytest.raises(DataError, match=rf"{name} was made for 5 input features, but .* has 4"):
        layer(torch.zeros(2, 4))
    with pytest.raises(DataError, match=rf"{name} needs an input of \[B, \.\.\., in\], not \[\]"):
        layer(torch.zeros(()))
    with pytest.raises(SettingError, match="unknown kernel 'poly': use 'linear' or 'rbf'"):
        make(5, 3, "poly")
    with pytest.raises(SettingError, match="num_classes must be at least 1"):
        make(5, 0)
    with pytest.raises(SettingError, match="in_features must be at least 1"):
        make(0, 3)
    for gamma in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(SettingError, match="gamma must be above 0 and finite"):
            make(5, 3, "rbf", gamma)
    with pytest.raises(SettingError, match="num_features must be at least 1"):
        make(5, 3, "rbf", num_features=0)


MAKES: list[Any] = [
    lambda **to: sf.nn.RandomFourierFeatures(3, 4000, gamma=0.5, **to),
    lambda **to: sf.nn.StochasticSVM(3, 2, "rbf", 0.5, 4000, **to),
    lambda **to: sf.nn.BayesianSVM(3, 2, "rbf", 0.5, 4000, **to),
]


@pytest.mark.parametrize("make", MAKES)
def test_it_is_drawn_anew_where_it_had_no_values(make: Any) -> None:
    """12,000 frequencies of standard deviation 1, seed 0: 6 standard errors of 0.65 %, 1e-9."""
    layer = make(device="meta").to_empty(device="cpu")
    features = layer if isinstance(layer, sf.nn.RandomFourierFeatures) else layer.features
    with torch.no_grad():
        for values in (*layer.parameters(), *layer.buffers()):
            values.fill_(7.0)  # what the memory may have held
    layer.reset_parameters()
    assert features.frequencies.std().item() == pytest.approx(1.0, abs=0.04)
    assert features.phases.min() >= 0 and 6 < features.phases.max() < 2 * torch.pi
    own = layer.scores.weight if isinstance(layer, sf.nn.BayesianSVM) else None
    own = layer.weight if isinstance(layer, sf.nn.StochasticSVM) else own
    assert own is None or own.abs().max() <= 1 / 4000**0.5
    before = features.frequencies.clone()
    layer.reset_parameters()
    assert not torch.equal(features.frequencies, before)
