"""The expectation over draws: one forward that is what a loop is."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

import sfumato as sf
from sfumato.errors import SettingError
from sfumato.robustness import ExpectedModel
from sfumato.robustness.attacks.gradient import slope
from sfumato.testing.compare import kolmogorov_smirnov, kolmogorov_smirnov_limit


class Seen(nn.Module):
    """Notes the batches that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.append(len(x))
        return x


class Opaque(nn.Module):
    """A model of which nothing is known but its forward."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


def network() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(4, 6),
        nn.ReLU(),
        sf.nn.StochasticLinear(6, 5),
        nn.Tanh(),
        nn.Linear(5, 3),
    )


def records(count: int = 7) -> Tensor:
    return torch.rand(count, 4, generator=torch.Generator().manual_seed(2))


def test_one_draw_is_the_model_to_the_bit() -> None:
    model, x = network(), records()
    with sf.sampling(model, "mean"):
        assert torch.equal(ExpectedModel(model, draws=1)(x), model(x))
    with torch.random.fork_rng():
        plain = model(x)
    assert torch.equal(ExpectedModel(model, draws=1)(x), plain)


@pytest.mark.parametrize("opaque", [True, False])
def test_without_noise_every_draw_is_the_model(opaque: bool) -> None:
    model, x = network(), records()
    with sf.sampling(model, "mean"):
        expected = ExpectedModel(Opaque(model) if opaque else model, draws=5)
        torch.testing.assert_close(expected.sample(x), model(x).expand(5, -1, -1))
        torch.testing.assert_close(expected(x), model(x))


@pytest.mark.parametrize("opaque", [True, False])
def test_it_follows_the_law_of_a_loop(opaque: bool) -> None:
    """Kolmogorov-Smirnov on 2,000 draws; false alarm 1e-6."""
    model, x, draws = network(), records(1), 2000
    batched = ExpectedModel(Opaque(model) if opaque else model, draws=draws).sample(x)[:, 0]
    loop = torch.cat([model(x) for _ in range(draws)])
    apart = kolmogorov_smirnov(batched.detach(), loop.detach())
    assert bool((apart < kolmogorov_smirnov_limit(draws, 3, 1e-6)).all())


@pytest.mark.parametrize("opaque", [True, False])
def test_repeats_and_records_draw_by_themselves(opaque: bool) -> None:
    """Correlations of 4,000 pairs; each is beyond 6 / √4000 with a probability of 2e-9."""
    model = network()
    x = records(1).expand(4000, -1)
    with torch.no_grad():
        one, two = ExpectedModel(Opaque(model) if opaque else model, draws=2).sample(x)
    neighbours = one[:-1], one[1:]
    for left, right in ((one, two), neighbours):
        for column in range(3):
            found = torch.corrcoef(torch.stack([left[:, column], right[:, column]]))[0, 1]
            assert abs(float(found)) < 6 / math.sqrt(len(left))


def test_the_beginning_is_computed_once() -> None:
    first, seen, x = Seen(), Seen(), records()
    noise = sf.nn.StochasticLinear(4, 3)
    # a module that is not torch's might draw: it belongs to the rest
    ExpectedModel(nn.Sequential(nn.Linear(4, 4), seen, noise), draws=6)(x)
    assert seen.sizes == [42]
    layer = nn.Linear(4, 4)
    layer.register_forward_pre_hook(lambda module, args: first.sizes.append(len(args[0])))
    ExpectedModel(nn.Sequential(layer, noise), draws=6)(x)
    assert first.sizes == [42]  # one with a hook too


def test_the_gradient_is_that_of_the_loop() -> None:
    model, x, labels = network(), records(), torch.arange(7) % 3
    with sf.sampling(model, "mean"):
        for average in ("loss", "logits", "probabilities"):
            found = slope(ExpectedModel(model, 4, average=average), x, labels, "cross_entropy")
            mine = x.clone().requires_grad_()
            loss = nn.functional.cross_entropy(model(mine), labels, reduction="none")
            loss.sum().backward()
            torch.testing.assert_close(found.gradient, mine.grad)
            torch.testing.assert_close(found.value, loss.detach())


def test_the_averages() -> None:
    model, x = network(), records()
    for average in ("loss", "logits", "probabilities"):
        torch.manual_seed(5)
        draws = ExpectedModel(model, 8).sample(x)
        torch.manual_seed(5)
        found = ExpectedModel(model, 8, average=average)(x)
        if average == "probabilities":
            torch.testing.assert_close(found.softmax(1), draws.softmax(2).mean(0))
        else:
            torch.testing.assert_close(found, draws.mean(0))


@pytest.mark.parametrize(
    ("estimator", "loops"), [("reparameterization", True), ("auto", True), ("flipout", False)]
)
def test_weights_that_a_batch_shares_are_drawn_in_a_loop(estimator: str, loops: bool) -> None:
    layer = sf.nn.BayesianLinear(4, 3, estimator=estimator)  # pyright: ignore[reportArgumentType]
    expected = ExpectedModel(layer, draws=3)
    assert expected.loops is loops
    draws = expected.sample(records())
    assert not torch.allclose(draws[0], draws[1])
    with sf.sampling(layer, "mean"):
        assert not expected.loops


def test_a_loop_can_be_asked_for() -> None:
    class Shared(nn.Module):
        """Draws once per call."""

        def forward(self, x: Tensor) -> Tensor:
            return x[:, :3] + torch.randn(())

    x = records()
    batched = ExpectedModel(Shared(), draws=3).sample(x)
    assert torch.equal(batched[0], batched[1])
    looped = ExpectedModel(Shared(), draws=3, loop=True).sample(x)
    assert not torch.allclose(looped[0], looped[1])


def test_dropout_that_was_switched_on_draws() -> None:
    model = nn.Sequential(nn.Linear(4, 30), nn.Dropout(0.5), nn.Linear(30, 3)).eval()
    x = records()
    quiet = ExpectedModel(model, draws=3).sample(x)
    torch.testing.assert_close(quiet[0], quiet[1])
    model[1].train()
    noisy = ExpectedModel(model, draws=3).sample(x)
    assert not torch.allclose(noisy[0], noisy[1])


def test_no_batch_is_larger_than_it_may_be() -> None:
    seen = Seen()
    model = nn.Sequential(seen, sf.nn.StochasticLinear(4, 3))
    assert ExpectedModel(model, draws=4, max_batch=10)(records()).shape == (7, 3)
    assert seen.sizes == [10, 10, 8]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"draws": 0}, "draws must be at least 1"),
        ({"max_batch": 0}, "max_batch must be at least 1"),
        ({"average": "votes"}, "unknown average 'votes'"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, object], says: str) -> None:
    with pytest.raises(SettingError, match=says):
        ExpectedModel(network(), **settings)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    "model", [nn.Identity(), nn.Unflatten(1, (2, 2)), nn.GRU(4, 3, batch_first=True)]
)
def test_a_model_that_gives_no_logits(model: nn.Module) -> None:
    x = torch.rand(7, 2, 4) if isinstance(model, nn.Identity) else records()
    with pytest.raises(SettingError, match="the model must give logits"):
        ExpectedModel(model, draws=2)(x)
