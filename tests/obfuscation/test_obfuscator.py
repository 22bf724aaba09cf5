"""The obfuscator: one fresh draw per record, always, and a clear word where it cannot."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import sfumato as sf
from sfumato.errors import DataError, SettingError

RECORD = (1, 6, 6)
SIGMA = 0.5


def conv(**kwargs: Any) -> sf.Obfuscator:
    layer = sf.obfuscation.conditional(RECORD, 3, SIGMA).layer
    return sf.Obfuscator(layer, **kwargs)


def soft() -> sf.Obfuscator:
    return conv(selection=sf.nn.SoftSelection(3))


def same(count: int) -> tuple[Tensor, Tensor]:
    """One record `count` times, and one label."""
    return torch.rand(1, *RECORD).expand(count, -1, -1, -1), torch.full((count,), 2)


def distinct(values: Tensor) -> int:
    return len(values.flatten(1).unique(dim=0))


class Gate(nn.Module):
    """π from the record itself: its mean decides between two classes."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(5.0))

    def forward(self, x: Tensor) -> Tensor:
        first = torch.sigmoid(self.slope * x.flatten(1).mean(1))
        return torch.stack([first, 1 - first, torch.zeros_like(first)], 1)


@pytest.mark.parametrize("source", ["torch", "os"])
def test_one_draw_for_each_record_and_call(source: Any) -> None:
    obfuscator, (x, labels) = conv(), same(5)
    releases = torch.cat([obfuscator.release(x, labels, source=source) for _ in range(3)])
    assert distinct(releases) == 15


def test_one_draw_for_each_record_and_call_without_labels() -> None:
    obfuscator, (x, _) = soft(), same(5)
    assert distinct(torch.cat([obfuscator(x) for _ in range(3)])) == 15


@pytest.mark.parametrize("source", ["torch", "os"])
def test_the_noise_is_that_of_the_law(source: Any) -> None:
    obfuscator, (x, labels) = conv(), same(2000)
    noise = obfuscator.release(x, labels, source=source) - x
    # 72,000 draws: the standard error of the deviation is 0.27 %, of the mean 0.002.
    assert float(noise.std()) == pytest.approx(SIGMA, rel=0.015)
    assert float(noise.mean()) == pytest.approx(0, abs=0.01)


def test_each_record_under_its_own_label() -> None:
    obfuscator = conv()
    layer = obfuscator.layer
    assert isinstance(layer, sf.nn.ConditionalConv2d) and layer.bias is not None
    with torch.no_grad():
        layer.bias[:, 0] = torch.tensor([0.0, 100.0, 200.0])
    labels = torch.tensor([2, 0, 1, 2])
    means = obfuscator.release(torch.zeros(4, *RECORD), labels).flatten(1).mean(1)
    torch.testing.assert_close(means, 100.0 * labels, atol=1, rtol=0)


def test_torch_draws_follow_the_seed_and_cryptographic_ones_do_not() -> None:
    obfuscator, (x, labels) = conv(), same(2)

    def released(source: Any) -> Tensor:
        torch.manual_seed(7)
        return obfuscator.release(x, labels, source=source)

    assert torch.equal(released("torch"), released("torch"))
    assert not torch.equal(released("os"), released("os"))


def test_cryptographic_draws_leave_the_generator_alone() -> None:
    obfuscator, (x, labels) = conv(), same(2)
    before = torch.get_rng_state()
    obfuscator.release(x, labels, source="os")
    assert torch.equal(torch.get_rng_state(), before)


def test_the_source_is_put_back() -> None:
    obfuscator = conv()
    obfuscator.release(*same(1), source="os")
    assert obfuscator.layer.source.name == "torch"


def test_training_and_evaluation_mode_change_nothing() -> None:
    obfuscator, (x, labels) = soft(), same(3)
    calls = []
    for mode in (True, False):
        obfuscator.train(mode)
        torch.manual_seed(1)
        calls.append((obfuscator(x), obfuscator.release(x, labels)))
        assert distinct(calls[-1][0]) == 3
    assert torch.equal(calls[0][0], calls[1][0]) and torch.equal(calls[0][1], calls[1][1])


@pytest.mark.parametrize("mode", ["mean", 100])
def test_the_mean_is_refused(mode: Any) -> None:
    obfuscator = soft()
    with (
        pytest.raises(SettingError, match="never passes on the mean"),
        sf.sampling(obfuscator, mode),
    ):
        pass


def test_the_mean_of_the_layer_is_refused() -> None:
    obfuscator = soft()
    with (
        sf.sampling(obfuscator.layer, "mean"),
        pytest.raises(SettingError, match="never passes on the mean"),
    ):
        obfuscator(same(1)[0])


def test_a_release_samples_even_where_the_layer_was_told_not_to() -> None:
    obfuscator, (x, labels) = conv(), same(4)
    with sf.sampling(obfuscator.layer, "mean"):
        assert distinct(obfuscator.release(x, labels)) == 4
        assert obfuscator.layer.mode == "mean"


@pytest.mark.parametrize("outer", [True, False])
def test_an_average_over_releases_is_refused(outer: bool) -> None:
    obfuscator, (x, labels) = soft(), same(1)
    averaged = nn.Sequential(obfuscator.layer) if outer else obfuscator.layer
    with sf.sampling(averaged, 10_000):
        for call in (lambda: obfuscator(x), lambda: obfuscator.release(x, labels)):
            with pytest.raises(SettingError, match="one draw, but its layer is inside"):
                call()
    assert distinct(torch.cat([obfuscator(x), obfuscator.release(x, labels)])) == 2
    with pytest.raises(SettingError, match="nor an average over draws"):
        sf.sampling(nn.Sequential(obfuscator, nn.Identity()), 10_000).__enter__()
    with sf.sampling(nn.Sequential(obfuscator, nn.Identity()), 1) as model:
        assert distinct(torch.cat([model(x), model(x)])) == 2


def test_the_model_behind_it_may_be_averaged() -> None:
    obfuscator, head, (x, labels) = soft(), sf.nn.StochasticLinear(36, 2), same(4)
    with sf.sampling(head, 3):
        released = obfuscator.release(x, labels)
        assert distinct(released) == 4
        assert head(released.flatten(1)).shape == (4, 2)


def test_inside_a_model_in_mean_mode_it_goes_on_sampling() -> None:
    head = sf.nn.StochasticLinear(36, 2)
    model, (x, _) = nn.Sequential(soft(), nn.Flatten(), head), same(4)
    with sf.sampling(model, "mean"):
        assert distinct(model(x)) == 4
        assert distinct(head(x.flatten(1))) == 1
        assert distinct(model[0](x)) == 4


def test_without_a_selection_the_label_must_be_known() -> None:
    with pytest.raises(SettingError, match=r"no selection.*sf\.fit.*release\(x, labels\)"):
        conv()(same(1)[0])
    with pytest.raises(SettingError, match="no selection"):
        conv().distribution(same(1)[0])


def test_an_unconditional_layer_ignores_labels() -> None:
    obfuscator, (x, labels) = sf.obfuscation.isotropic(RECORD, SIGMA), same(4)
    assert obfuscator.num_classes is None
    assert distinct(obfuscator(x)) == 4
    torch.manual_seed(3)
    first = obfuscator.release(x, labels)
    torch.manual_seed(3)
    assert torch.equal(obfuscator.release(x, labels - 1), first)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("known", [True, False])
def test_a_record_that_is_not_finite(bad: float, known: bool) -> None:
    obfuscator, x = soft(), torch.zeros(4, *RECORD)
    x[1, 0, 2, 2] = x[3, 0, 0, 0] = bad
    with pytest.raises(DataError, match=r"2 of 4 records .* number 1\)"):
        obfuscator.release(x, torch.zeros(4).long()) if known else obfuscator(x)


def test_a_label_that_does_not_exist() -> None:
    with pytest.raises(DataError, match=r"0\.\.2"):
        conv().release(torch.zeros(2, *RECORD), torch.tensor([0, 3]))


def test_a_record_of_another_shape() -> None:
    with pytest.raises(DataError, match="channels"):
        conv().release(torch.zeros(2, 3, 6, 6), torch.tensor([0, 1]))


def test_no_record_at_all() -> None:
    none = torch.zeros(0, *RECORD)
    assert conv().release(none, torch.zeros(0).long()).shape == none.shape
    assert soft()(none).shape == none.shape


def test_a_layer_without_a_law_is_refused() -> None:
    layer: Any = nn.Conv2d(1, 1, 3)
    with pytest.raises(SettingError, match="not Conv2d"):
        sf.Obfuscator(layer)


def test_a_release_has_no_gradient_and_obfuscate_has() -> None:
    obfuscator, (x, labels) = conv(), same(2)
    assert not obfuscator.release(x, labels).requires_grad
    obfuscator.obfuscate(x, labels).sum().backward()
    assert obfuscator.layer.weight.grad is not None


def test_a_gate_may_be_the_selection() -> None:
    gate, x = Gate(), torch.rand(5, *RECORD)
    obfuscator = conv(selection=gate)
    torch.manual_seed(2)
    released = obfuscator(x)
    torch.manual_seed(2)
    assert torch.equal(released, obfuscator.layer(x, gate(x)))
    obfuscator(x).sum().backward()
    assert gate.slope.grad is not None
    law, other = obfuscator.distribution(x), obfuscator.layer.distribution(x, gate(x))
    assert torch.equal(law.mean, other.mean) and torch.equal(law.stddev, other.stddev)


def test_regular_layers_come_first() -> None:
    pre = nn.Conv2d(1, 2, 3, stride=2, padding=1)
    obfuscator = sf.Obfuscator(sf.nn.ConditionalConv2d(3, 2, 1, 1), sf.nn.SoftSelection(3), pre)
    x, labels = torch.rand(4, *RECORD), torch.tensor([0, 1, 2, 0])
    assert obfuscator.release(x, labels).shape == obfuscator(x).shape == (4, 1, 3, 3)
    expected = obfuscator.layer.distribution(pre(x), labels)
    assert torch.equal(obfuscator.distribution(x, labels).mean, expected.mean)


def selections() -> dict[str, Tensor]:
    labels = torch.tensor([0, 2, 1])
    spatial = labels.reshape(3, 1, 1).expand(3, 6, 6)
    mask = torch.nn.functional.one_hot(spatial, 3).movedim(-1, 1)
    return {"labels": labels, "class map": spatial, "mask": mask.bool(), "π": mask.float()}


def test_labels_maps_and_masks_select_alike() -> None:
    obfuscator = conv()
    nn.init.normal_(obfuscator.layer.weight)  # type: ignore[arg-type]
    x, laws = torch.rand(3, *RECORD), []
    for selection in selections().values():
        assert obfuscator.release(x, selection).shape == x.shape
        laws.append(obfuscator.distribution(x, selection))
    for law in laws[1:]:
        torch.testing.assert_close(law.mean, laws[0].mean)
        torch.testing.assert_close(law.stddev, laws[0].stddev)


def test_equal_obfuscators_have_equal_digests() -> None:
    one = soft()
    other = copy.deepcopy(one)
    assert one.digest() == other.digest() and len(one.digest()) == 64
    with torch.no_grad():
        other.layer.weight[0, 0, 0, 0, 0] += 1e-6  # type: ignore[index]
    assert one.digest() != other.digest()


def test_the_digest_knows_settings_that_are_no_weight() -> None:
    digests = {
        sf.Obfuscator(sf.nn.ConditionalAdditiveNoise(2, (3,), noise, bound)).digest()
        for noise in (sf.noise.Gaussian(), sf.noise.Gaussian(0.1), sf.noise.Laplace())
        for bound in (None, (0.0, 1.0))
    }
    assert len(digests) == 6


def test_a_copy_draws_noise_of_its_own() -> None:
    obfuscator, (x, labels) = conv(), same(1)
    other = copy.deepcopy(obfuscator)
    assert not torch.equal(obfuscator.release(x, labels), other.release(x, labels))


def test_a_recurrent_layer_keeps_its_clean_state() -> None:
    obfuscator = sf.Obfuscator(sf.nn.StochasticLSTM(3, 4, batch_first=True))
    x = torch.rand(2, 5, 3)
    for released in (obfuscator(x), obfuscator.release(x, torch.tensor([0, 1]))):
        assert released.shape == (2, 5, 4)


def test_records_come_first() -> None:
    with pytest.raises(SettingError, match="make it with batch_first=True"):
        sf.Obfuscator(sf.nn.StochasticLSTM(3, 4))
    with pytest.raises(SettingError, match="GRU takes time first"):
        sf.Obfuscator(sf.nn.AdditiveNoise((5, 4)), pre=torch.nn.GRU(3, 4))


def drawing() -> dict[str, tuple[Any, str]]:
    noise, linear = sf.nn.AdditiveNoise((3,)), sf.nn.StochasticLinear(3, 3)
    weights = sf.nn.BayesianLinear(3, 3)
    shared = "whose drawn weights all records of a batch would share"
    return {
        "drawn weights before": ((noise, None, weights), "pre draws, in its BayesianLinear:"),
        "deep before": (
            (
                noise,
                None,
                nn.Sequential(nn.Identity(), nn.Sequential(sf.nn.bayesian(nn.Linear(3, 3)))),
            ),
            "pre draws, in its Bayesian:",
        ),
        "noise before": ((noise, None, linear), "pre draws, in its StochasticLinear:"),
        "an obfuscator before": (
            (noise, None, sf.Obfuscator(noise)),
            "pre draws, in its AdditiveNoise:",
        ),
        "a random gate": (
            (sf.nn.ConditionalLinear(3, 3, 3), weights),
            "selection draws, in its BayesianLinear:",
        ),
        "drawn weights inside": (
            (sf.nn.Stochastic(sf.nn.bayesian(nn.Linear(3, 6))),),
            shared,
        ),
        "noise inside": (
            (sf.nn.Stochastic(nn.Sequential(linear, nn.Linear(3, 6))),),
            "the parameter network draws, in its StochasticLinear:",
        ),
        "a class of drawn weights": (
            (sf.nn.Conditional(2, lambda: sf.nn.BayesianLinear(3, 3)),),
            shared,
        ),
        "no noise at all": (
            (sf.nn.Conditional(2, lambda: nn.Linear(3, 3)),),
            "made of modules that draw nothing",
        ),
    }


@pytest.mark.parametrize("case", drawing())
def test_only_the_layer_draws_and_for_each_record(case: str) -> None:
    parts, message = drawing()[case]
    with pytest.raises(SettingError, match=message):
        sf.Obfuscator(*parts)


def test_a_layer_of_stochastic_modules_is_taken() -> None:
    layer = sf.nn.Conditional(2, lambda: sf.nn.StochasticLinear(3, 2))
    x, labels = torch.ones(4, 3), torch.tensor([0, 1, 0, 1])
    assert distinct(sf.Obfuscator(layer).release(x, labels)) == 4


def test_a_mean_deep_inside_the_layer_is_refused() -> None:
    layer = sf.nn.Conditional(2, lambda: sf.nn.StochasticLinear(3, 2))
    obfuscator = sf.Obfuscator(layer, sf.nn.SoftSelection(2))
    with (
        sf.sampling(layer.classes[0], "mean"),
        pytest.raises(SettingError, match="never passes on the mean"),
    ):
        obfuscator(torch.ones(4, 3))


def test_of_a_recurrent_network_before_the_sequence_goes_on() -> None:
    pre, x = nn.LSTM(3, 4, batch_first=True), torch.randn(2, 5, 3)
    obfuscator = sf.Obfuscator(sf.nn.AdditiveNoise((5, 4)), pre=pre)
    labels = torch.tensor([0, 1])
    for released in (obfuscator(x), obfuscator.release(x, labels), obfuscator.obfuscate(x, labels)):
        assert released.shape == (2, 5, 4)
    assert torch.equal(obfuscator.distribution(x).mean, pre(x)[0])


def test_networks_inside_are_part_of_the_digest() -> None:
    linear = nn.Linear(3, 4)
    digests = {
        sf.Obfuscator(sf.nn.Stochastic(nn.Sequential(linear, last))).digest()
        for last in (nn.Tanh(), nn.ReLU(), nn.LeakyReLU(0.1), nn.LeakyReLU(0.2))
    }
    assert len(digests) == 4
