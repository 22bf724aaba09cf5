"""The settings of an incremental training, and the records that its cells work on."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from sfumato.data.records import Records
from sfumato.errors import DataError, SettingError
from sfumato.obfuscation import Plan
from sfumato.obfuscation.plan import Job
from sfumato.obfuscation.rounds import clean_part
from sfumato.train import Recipe
from tests.obfuscation import tiny


def job(model: Any = tiny.linear, **changes: Any) -> Job:
    return Job.of(tiny.plan(**changes), model, *tiny.records(), Path("unused"))


@pytest.mark.parametrize(
    ("message", "change"),
    [
        (r"a fraction must lie in \(0, 1\], not 0", {"fractions": (0.0,)}),
        (r"a fraction must lie in \(0, 1\], not -0\.1", {"fractions": (-0.1, 0.5)}),
        (r"a fraction must lie in \(0, 1\], not 1\.1", {"fractions": (0.5, 1.1)}),
        (r"a fraction must lie in \(0, 1\], not nan", {"fractions": (float("nan"),)}),
        ("fractions must grow", {"fractions": ()}),
        ("fractions must grow", {"fractions": (0.2, 0.1)}),
        ("fractions must grow", {"fractions": (0.1, 0.1)}),
        ("seeds must be one or more different numbers", {"seeds": ()}),
        ("seeds must be one or more different numbers", {"seeds": (1, 2, 1)}),
        (r"the target accuracy must lie in \(0, 1\], not 95", {"target": 95.0}),
        (r"the target accuracy must lie in \(0, 1\], not 0", {"target": 0.0}),
        (r"the knob must be 0 or more, not -1", {"knob": -1.0}),
        (r"the knob must be 0 or more, not nan", {"knob": float("nan")}),
        (r"a scale of the noise must be above 0 and finite, not 0", {"sigma": 0.0}),
        (
            r"a scale of the noise must be above 0 and finite, not inf",
            {"sigmas": (1.0, float("inf"))},
        ),
        (r"attacked must be at least 1, not 0", {"attacked": 0}),
    ],
)
def test_settings_that_cannot_be(message: str, change: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=message):
        Plan(**change)


def test_a_plan_may_be_all_clean() -> None:
    assert Plan(fractions=(1.0,), target=1.0, learner=Recipe()).fractions == (1.0,)


def test_clean_parts_are_nested_and_stratified() -> None:
    whole = job()
    parts = [clean_part(whole, fraction, seed=3) for fraction in (0.1, 0.25, 0.5, 1.0)]
    for small, large in itertools.pairwise(parts):
        assert set(small.tolist()) < set(large.tolist())
    labels, count = whole.records()[1], len(whole.train[1])
    shares = torch.bincount(labels, minlength=tiny.CLASSES) / count
    for fraction, part in zip((0.1, 0.25, 0.5, 1.0), parts, strict=True):
        assert len(part) == round(fraction * count) == len(part.unique())
        own = torch.bincount(labels[part], minlength=tiny.CLASSES)
        assert bool(((own - shares * len(part)).abs() < 1).all())


def test_seeds_have_clean_parts_of_their_own() -> None:
    first, again, other = (clean_part(job(), 0.25, seed) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first.sort().values, other.sort().values)


def test_a_subset_of_the_test_records_has_the_class_shares_of_all() -> None:
    train, test = tiny.records()
    by_class = test.subset(test.labels.argsort(stable=True))
    some = Job.of(tiny.plan(), tiny.linear, train, by_class, Path("unused"))
    inputs, labels = some.test_records(20)
    assert len(inputs) == len(labels) == 20
    counts, all_counts = torch.bincount(labels), torch.bincount(by_class.labels)
    assert bool(((counts - all_counts * 20 / 60).abs() < 1).all())
    for limit in (None, 60, 1000):
        assert torch.equal(some.test_records(limit)[0], by_class.inputs)


def test_a_factory_gives_the_same_model_to_every_round_of_a_seed() -> None:
    first, again, other = (job().new_model(seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(first["1.weight"], again["1.weight"])
    assert not torch.equal(first["1.weight"], other["1.weight"])


def test_a_network_is_copied() -> None:
    network = tiny.linear((1, 8, 8), tiny.CLASSES)
    copied = job(network).new_model(0)
    assert copied is not network
    nn.init.zeros_(next(copied.parameters()))
    assert bool(next(network.parameters()).any())


def test_the_fingerprint_knows_every_record_and_label() -> None:
    train, test = tiny.records()
    prints = {job().fingerprint()}
    for place in range(4):
        tensors = [t.clone() for t in (train.inputs, train.labels, test.inputs, test.labels)]
        tensors[place].view(-1)[-1] += 1
        changed = Job.of(
            tiny.plan(),
            tiny.linear,
            Records(tensors[0], tensors[1], train.classes),
            Records(tensors[2], tensors[3], test.classes),
            Path("unused"),
        )
        prints.add(changed.fingerprint())
    assert len(prints) == 5
    assert job().fingerprint() in prints


def test_the_fingerprint_knows_the_weights_of_a_network() -> None:
    networks = [tiny.linear((1, 8, 8), tiny.CLASSES) for _ in range(2)]
    assert job(networks[0]).fingerprint() != job(networks[1]).fingerprint()
    assert job(networks[0]).fingerprint() == job(networks[0]).fingerprint()


def with_records(train: Records, test: Records, **changes: Any) -> Job:
    return Job.of(tiny.plan(**changes), tiny.linear, train, test, Path("unused"))


def test_shapes_that_differ() -> None:
    train, test = tiny.records()
    cut = Records(test.inputs[..., :6].contiguous(), test.labels, test.classes)
    with pytest.raises(DataError, match=r"\(1, 8, 8\), test records \(1, 8, 6\)"):
        with_records(train, cut)


def test_classes_that_training_never_sees() -> None:
    train, test = tiny.records()
    more = Records(test.inputs, test.labels, (*test.classes, "4"))
    with pytest.raises(DataError, match="5 classes, the training records only 4"):
        with_records(train, more)


def test_too_few_clean_records() -> None:
    with pytest.raises(DataError, match=r"are 6 clean ones, fewer than two for each of 4 classes"):
        with_records(*tiny.records(), fractions=(0.05, 1.0))


@pytest.mark.parametrize(
    ("sigmas", "middle"),
    [((), ()), ((2.0,), (2.0,)), ((1.0, 0.2, 0.5), (0.5,)), ((1.0, 2.0), (2.0,))],
)
def test_middle_sigma(sigmas: tuple[float, ...], middle: tuple[float, ...]) -> None:
    assert Plan(sigmas=sigmas).middle_sigma == middle


@pytest.mark.parametrize("share", [0.0, 1.1, float("nan")])
def test_shares_out_of_range(share: float) -> None:
    with pytest.raises(SettingError, match="a share to release must lie in"):
        Plan(shares=(share,))
