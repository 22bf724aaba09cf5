"""Changed copies compute what their names say, and are as large as they should be."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import sfumato as sf
from sfumato.errors import SettingError
from sfumato.label_noise import (
    Parallel,
    hidden_layers,
    with_dropout,
    with_heteroscedastic_head,
    with_noise,
    with_parallel,
)
from sfumato.train import lenet5, mlp, small_cnn
from tests.label_noise.toys import network

X = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))


def size(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def model() -> nn.Module:
    torch.manual_seed(0)
    return network()


def test_hidden_layers() -> None:
    assert hidden_layers(lenet5()) == ("0", "3", "7")
    assert hidden_layers(mlp((4,), 2, (3, 3))) == ("1", "3")


def test_the_mean_path_of_noise_is_the_network() -> None:
    plain = model()
    noisy = with_noise(plain)
    with sf.sampling(noisy, "mean"):
        assert torch.equal(noisy(X), plain(X))
    assert not torch.equal(noisy(X), noisy(X))
    with sf.record(noisy) as emitted, torch.no_grad():
        noisy(X)
    scales = list(emitted.log_scales.values())
    assert len(scales) == 2
    for scale in scales:
        assert float(scale.std(0).mean()) > 0  # σ depends on the record from the start
        assert abs(float(scale.exp().mean()) - 0.69) < 0.3


def test_second_layers_are_as_large_as_noise() -> None:
    for layers in (None, ["3"]):
        assert size(with_parallel(model(), layers)) == size(with_noise(model(), layers))


def test_a_second_layer_is_added() -> None:
    plain = model()
    changed = with_parallel(plain, ["3"])
    assert isinstance(changed.get_submodule("3"), Parallel)
    pair: Any = changed.get_submodule("3")
    assert not torch.equal(pair.layer.weight, pair.beside.weight)
    inside = plain.get_submodule("2")(plain.get_submodule("1")(X))
    expected = plain.get_submodule("3")(inside) + pair.beside(inside)
    assert torch.allclose(pair(inside), expected)
    nn.init.zeros_(pair.beside.weight)
    nn.init.zeros_(pair.beside.bias)
    assert torch.equal(changed(X), plain(X))


def test_dropout_before_relu_is_dropout_behind_it() -> None:
    plain = model()
    changed = with_dropout(plain, 0.5)
    changed.eval()
    assert torch.equal(changed(X), plain(X))
    changed.train()
    torch.manual_seed(1)
    given = changed(X)
    torch.manual_seed(1)
    h = X
    for layer in plain.children():
        h = layer(h)
        if isinstance(layer, nn.Linear) and layer.out_features > 3:
            h = torch.nn.functional.dropout(h, 0.5, True)
    assert torch.allclose(given, h)
    assert size(changed) == size(plain)


@pytest.mark.parametrize(
    "change", [with_noise, with_parallel, with_dropout, with_heteroscedastic_head]
)
def test_pictures_and_the_model_left_alone(change: Any) -> None:
    plain = small_cnn((1, 8, 8), 3)
    before = {name: value.clone() for name, value in plain.state_dict().items()}
    logits = change(plain)(torch.rand(4, 1, 8, 8))
    assert logits.shape == (4, 3)
    assert all(torch.equal(before[name], value) for name, value in plain.state_dict().items())


@pytest.mark.parametrize("change", [with_noise, with_parallel])
@pytest.mark.parametrize("layers", [[], ["7"], ["0"], "3"])
def test_no_such_layers(change: Any, layers: Any) -> None:
    with pytest.raises(SettingError, match="layer"):
        change(model(), layers)


@pytest.mark.parametrize("rate", [0.0, 1.0, -1.0, float("nan")])
def test_no_rate(rate: float) -> None:
    with pytest.raises(SettingError, match="rate"):
        with_dropout(model(), rate)


def test_networks_without_hidden_layers() -> None:
    with pytest.raises(SettingError, match="at least two"):
        with_noise(nn.Linear(3, 2))
    with pytest.raises(SettingError, match=r"no nn\.Linear"):
        with_heteroscedastic_head(nn.Sequential(nn.Linear(3, 3), nn.Conv1d(1, 1, 1)))


def test_a_layer_that_cannot_be_drawn_anew() -> None:
    with pytest.raises(SettingError, match="reset_parameters"):
        Parallel(nn.ReLU())
