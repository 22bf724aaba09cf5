"""Binomial and Multinomial: exact counts, the relaxed gradient, moments, settings."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sfumato.errors import DataError, SettingError
from sfumato.noise import Binomial, Multinomial, NoiseLaw
from sfumato.noise.source import SYSTEM, TORCH, Source

LAWS = [Binomial(1), Binomial(5, 0.3), Multinomial(), Multinomial(4, 0.3), Multinomial(2, axis=-2)]
laws = pytest.mark.parametrize("law", LAWS, ids=str)
WIDE = torch.float64


def logits(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=WIDE)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def softmax(x: list[float]) -> list[float]:
    total = sum(math.exp(value) for value in x)
    return [math.exp(value) / total for value in x]


def compositions(trials: int, categories: int) -> list[tuple[int, ...]]:
    """Every way to share `trials` between `categories`."""
    every = itertools.product(range(trials + 1), repeat=categories)
    return [counts for counts in every if sum(counts) == trials]


def multinomial_pmf(counts: tuple[int, ...], p: list[float]) -> float:
    ways = math.factorial(sum(counts)) / math.prod(map(math.factorial, counts))
    return ways * math.prod(share**count for share, count in zip(p, counts, strict=True))


def test_a_binomial_sample_and_its_gradient_by_hand() -> None:
    law, raw = Binomial(3, temperature=0.6), logits(2, 4).requires_grad_()
    eps = law.draw((2, 4), dtype=WIDE)
    h = law.transform((raw,), eps)
    (slope,) = torch.autograd.grad(h.sum(), raw)
    for b, k in itertools.product(range(2), range(4)):
        scores = [raw[b, k].item() + eps[b, k, t].item() for t in range(3)]
        assert h[b, k].item() == sum(score > 0 for score in scores)
        soft = [sigmoid(score / 0.6) for score in scores]
        assert slope[b, k].item() == pytest.approx(sum(s * (1 - s) for s in soft) / 0.6, rel=1e-12)


def test_a_multinomial_sample_and_its_gradient_by_hand() -> None:
    law, raw = Multinomial(3, temperature=0.6), logits(2, 4).requires_grad_()
    eps, upstream = law.draw((2, 4), dtype=WIDE), logits(2, 4)
    h = law.transform((raw,), eps)
    (slope,) = torch.autograd.grad((h * upstream).sum(), raw)
    for b in range(2):
        wins, expected = [0] * 4, [0.0] * 4
        for t in range(3):
            scores = [raw[b, k].item() + eps[b, k, t].item() for k in range(4)]
            wins[scores.index(max(scores))] += 1
            soft = softmax([score / 0.6 for score in scores])
            inner = sum(s * upstream[b, k].item() for k, s in enumerate(soft))
            for k, s in enumerate(soft):
                expected[k] += s * (upstream[b, k].item() - inner) / 0.6
        assert h[b].tolist() == wins
        assert slope[b].tolist() == pytest.approx(expected, rel=1e-10)


@laws
@pytest.mark.parametrize("dtype", [torch.float32, WIDE])
@pytest.mark.parametrize("grad", [False, True])
def test_a_sample_is_an_exact_count(law: NoiseLaw, dtype: torch.dtype, grad: bool) -> None:
    raw = (5 * logits(300, 4, 3)).to(dtype).requires_grad_()
    with torch.set_grad_enabled(grad):
        h = law.transform((raw,), law.draw(raw.shape, dtype=dtype))
    assert h.dtype == dtype
    assert h.requires_grad is grad
    assert torch.equal(h, h.round())
    assert h.min() >= 0
    assert h.max() <= law.trials  # type: ignore[attr-defined]
    if isinstance(law, Multinomial):
        assert (h.sum(law.axis or -1) == law.trials).all()


@laws
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, WIDE])
@pytest.mark.parametrize("temperature", [1e-30, 1e-3, 1.0, 1e30])
def test_nothing_overflows(law: NoiseLaw, dtype: torch.dtype, temperature: float) -> None:
    law = type(law)(**{**law.config(), "temperature": temperature})
    wide = 3e4 if dtype == torch.float16 else 1e30
    values = torch.tensor([-wide, -100.0, -1.0, 0.0, 1.0, 100.0, wide], dtype=dtype)
    raw = values[torch.randint(7, (200, 3, 3))].requires_grad_()
    params = law.constrain((raw,))
    sample = law.transform(params, law.draw(raw.shape, dtype=dtype))
    said = (law.mean(params), law.log_scale(params), law.entropy(params))
    for value in (sample, *said):
        assert value.isfinite().all()
        assert torch.autograd.grad(value.sum(), raw, retain_graph=True)[0].isfinite().all()


@laws
@pytest.mark.parametrize("source", [TORCH, SYSTEM], ids=lambda s: s.name)
def test_the_extremes_of_a_source_give_finite_noise(
    law: NoiseLaw, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    for end in (0.0, 1 - 2.0**-24):
        monkeypatch.setattr(torch, "rand", lambda shape, end=end, **_: torch.full(shape, end))
        byte = b"\x00" if end == 0 else b"\xff"
        monkeypatch.setattr("os.urandom", lambda count, byte=byte: byte * count)
        eps = law.draw((2, 3), source=source)
        assert eps.isfinite().all()
        assert eps.abs().max() > 2.8  # -log(-log 2^-25) is the smallest of these ends


def test_equal_logits_of_any_size_are_equally_likely() -> None:
    """n = 3,000, seed 0: each comes 1,000 times, within 180; false alarm 2e-11."""
    law = Multinomial()
    h = law.transform((torch.full((3000, 3), 1e30),), law.draw((3000, 3)))
    assert ((h.sum(0) - 1000).abs() < 180).all()


def test_rare_outcomes_have_a_scale() -> None:
    (low,) = Binomial(4).log_scale((torch.tensor([-100.0]),)).tolist()
    assert low == pytest.approx((math.log(4) - 100) / 2)
    sure = Multinomial(4).log_scale((torch.tensor([100.0, 0.0, 0.0]),)).tolist()
    assert sure == pytest.approx(
        [(math.log(4) + math.log(2) - 100) / 2, *[(math.log(4) - 100) / 2] * 2]
    )


@pytest.mark.parametrize("trials", [1, 2, 7])
def test_moments_and_entropy_of_a_binomial_by_enumeration(trials: int) -> None:
    law, raw = Binomial(trials), 2 * logits(5)
    mean, log_scale, entropy = (f((raw,)) for f in (law.mean, law.log_scale, law.entropy))
    for b, p in enumerate(sigmoid(value) for value in raw.tolist()):
        pmf = [math.comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(trials + 1)]
        expected = sum(k * q for k, q in enumerate(pmf))
        variance = sum((k - expected) ** 2 * q for k, q in enumerate(pmf))
        assert mean[b].item() == pytest.approx(expected, rel=1e-12)
        assert log_scale[b].item() == pytest.approx(math.log(variance) / 2, abs=1e-12)
        assert entropy[b].item() == pytest.approx(-sum(q * math.log(q) for q in pmf), rel=1e-12)


@pytest.mark.parametrize("trials", [1, 2, 5])
def test_moments_and_entropy_of_a_multinomial_by_enumeration(trials: int) -> None:
    law, raw = Multinomial(trials), 2 * logits(5, 3)
    mean, log_scale, entropy = (f((raw,)) for f in (law.mean, law.log_scale, law.entropy))
    for b in range(5):
        pmf = {
            counts: multinomial_pmf(counts, softmax(raw[b].tolist()))
            for counts in compositions(trials, 3)
        }
        for k in range(3):
            expected = sum(counts[k] * q for counts, q in pmf.items())
            variance = sum((counts[k] - expected) ** 2 * q for counts, q in pmf.items())
            assert mean[b, k].item() == pytest.approx(expected, rel=1e-12)
            assert log_scale[b, k].item() == pytest.approx(math.log(variance) / 2, abs=1e-10)
        nats = -sum(q * math.log(q) for q in pmf.values())
        assert entropy[b].item() == pytest.approx(nats, rel=1e-10)


def test_one_category_is_a_constant() -> None:
    law, raw = Multinomial(4), torch.zeros(2, 1, requires_grad=True)
    h = law.transform((raw,), law.draw((2, 1)))
    assert h.tolist() == law.mean((raw,)).tolist() == [[4.0], [4.0]]
    assert law.entropy((raw,)).tolist() == [0.0, 0.0]
    assert law.log_scale((raw,)).isfinite().all()


def test_categories_lie_on_the_axis_that_is_named() -> None:
    raw, along = logits(4, 3, 5), Multinomial(2, axis=-2)
    eps = along.draw((4, 3, 5), dtype=WIDE)
    last = Multinomial(2)
    moved, moved_eps = raw.movedim(-2, -1), eps.movedim(-3, -2)
    for one, other in (
        (along.transform((raw,), eps), last.transform((moved,), moved_eps)),
        (along.mean((raw,)), last.mean((moved,))),
        (along.log_scale((raw,)), last.log_scale((moved,))),
    ):
        torch.testing.assert_close(one.movedim(-2, -1), other)
    torch.testing.assert_close(along.entropy((raw,)), last.entropy((moved,)))
    assert along.entropy((raw,)).shape == (4, 5)
    known = along.distribution((raw,))
    assert (known.batch_shape, known.event_shape) == ((4, 5), (3,))


def test_an_axis_that_is_named_wins() -> None:
    assert Multinomial(2, 0.5).over(-3) == Multinomial(2, 0.5, axis=-3)
    assert Multinomial(axis=-2).over(-3) == Multinomial(axis=-2)
    assert Binomial(2).over(-3) == Binomial(2)


def test_the_configs_are_json_values() -> None:
    assert Binomial(3, 0.5).config() == {"trials": 3, "temperature": 0.5}
    assert Multinomial().config() == {"trials": 1, "temperature": 1.0, "axis": None}


@laws
def test_one_number_for_each_element(law: NoiseLaw) -> None:
    assert law.num_params == 1
    assert not law.located
    assert law.eps_shape((2, 3)) == (2, 3, law.trials)  # type: ignore[attr-defined]


WRONG: list[tuple[Callable[[], object], str]] = [
    (lambda: Binomial(0), "trials must be an integer of at least 1, not 0"),
    (lambda: Binomial(-3), "trials must be an integer of at least 1"),
    (lambda: Binomial(2.5), "not 2.5"),  # type: ignore[arg-type]
    (lambda: Multinomial(0), "trials must be an integer of at least 1"),
    (lambda: Binomial(1, 0.0), "temperature must be above 0 and finite, not 0.0"),
    (lambda: Binomial(1, float("nan")), "temperature must be above 0 and finite"),
    (lambda: Multinomial(1, float("inf")), "temperature must be above 0 and finite"),
    (lambda: Multinomial(1, -1.0), "temperature must be above 0 and finite"),
    (lambda: Multinomial(axis=1), "axis is counted from the end, .*, not 1"),
    (lambda: Multinomial(axis=0), "axis is counted from the end"),
]


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_settings(make: Callable[[], object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        make()


def test_a_sample_without_the_axis_of_the_categories() -> None:
    law = Multinomial(axis=-3)
    with pytest.raises(DataError, match=r"lie on axis -3, which a sample of \[4, 2\] has not"):
        law.transform((torch.zeros(4, 2),), law.draw((4, 2)))
