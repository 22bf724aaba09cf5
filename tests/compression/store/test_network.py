"""A pruned network on disk comes back as it was, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import sfumato as sf
from sfumato.compression.store import load_network, save_network
from sfumato.errors import DataError, OutputError, SettingError, StoreError
from sfumato.files import json_checksum, read_json, write_json
from sfumato.train import lenet5, small_cnn
from tests.compression.store.networks import CASES, Residual, Tied, mlp, trained
from tests.disk import nearly_full


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("as_factory", [False, True])
def test_round_trip(name: str, as_factory: bool, tmp_path: Path) -> None:
    large, small, shape = CASES[name]
    pruned, like = trained(small(), shape), large()
    folder = save_network(pruned, tmp_path / "network", like=like)
    before = {key: value.clone() for key, value in like.state_dict().items()}
    loaded = load_network(large if as_factory else like, folder)
    assert type(loaded) is type(pruned)
    assert not loaded.training
    x = torch.rand(3, *shape)
    assert torch.equal(loaded(x), pruned(x))
    assert all(torch.equal(value, before[key]) for key, value in like.state_dict().items())
    assert {k: v.shape for k, v in loaded.state_dict().items()} == {
        k: v.shape for k, v in pruned.state_dict().items()
    }


def test_a_loaded_network_learns_on(tmp_path: Path) -> None:
    folder = save_network(mlp(3), tmp_path)
    loaded = load_network(mlp(), folder).train()
    assert all(p.requires_grad and p.is_leaf for p in loaded.parameters())
    loaded(torch.rand(8, 4)).sum().backward()
    assert all(p.grad is not None for p in loaded.parameters())


def test_what_is_tied_stays_tied(tmp_path: Path) -> None:
    folder = save_network(Tied(3), tmp_path)
    assert read_json(folder / "network.json")["tied"] == {"decode.weight": "encode.weight"}
    loaded = load_network(Tied(), folder)
    assert loaded.decode.weight is loaded.encode.weight


def test_precision_and_device_stay(tmp_path: Path) -> None:
    pruned = mlp(3).double()
    with torch.device("meta"):
        empty = mlp()
    loaded = load_network(empty, save_network(pruned, tmp_path))
    assert loaded[0].weight.dtype == torch.float64 and loaded[0].weight.device.type == "cpu"
    assert torch.equal(loaded[4].weight, pruned.get_parameter("4.weight"))


def test_people_can_read_it(tmp_path: Path) -> None:
    pruned = lenet5(widths=(2, 7, 79))
    folder = save_network(
        pruned, tmp_path, like=lenet5(), input_shape=(1, 28, 28), provenance={"error": 0.009}
    )
    content = json.loads((folder / "network.json").read_text(encoding="utf-8"))
    assert content["schema"] == "sfumato.network/1"
    assert content["layers"]["3"]["widths"] == {"in_channels": 2, "out_channels": 7, "groups": 1}
    assert content["layers"]["3"]["before"]["out_channels"] == 50
    assert content["counts"] == {
        "before": {"parameters": 431080, "multiplications": 2293000, "activations": 15230},
        "after": {"parameters": 10136, "multiplications": 60838, "activations": 1689},
    }
    assert content["provenance"]["error"] == 0.009
    assert content["provenance"]["versions"]["torch"]
    assert {path.suffix for path in folder.iterdir()} == {".json", ".safetensors"}


def test_saving_again_leaves_one_network(tmp_path: Path) -> None:
    save_network(mlp(3), tmp_path)
    save_network(mlp(2), tmp_path)
    assert load_network(mlp, tmp_path)[0].out_features == 2
    assert len(list(tmp_path.iterdir())) == 2


# another network than the one that was pruned


def with_stride() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 3, 1))


def without_stride(width: int = 8) -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, width, 3), nn.ReLU(), nn.Conv2d(width, 3, 1))


class Derived(nn.Conv2d):
    """A convolution of one's own."""


OTHERS: dict[str, tuple[Callable[[], nn.Module], Callable[[], nn.Module], str]] = {
    "fewer layers": (lambda: mlp(3), lambda: nn.Sequential(nn.Linear(4, 7)), "modules it lacks 1"),
    "more layers": (lambda: nn.Sequential(nn.Linear(4, 3)), mlp, "modules it has 1"),
    "another kind": (
        lambda: nn.Sequential(nn.Linear(4, 3), nn.Tanh()),
        lambda: nn.Sequential(nn.Linear(4, 3), nn.ReLU()),
        "1 is a ReLU, and was a Tanh",
    ),
    "another stride": (lambda: without_stride(4), with_stride, r"of 0, stride is \(2, 2\)"),
    "a setting that is None": (
        lambda: nn.Sequential(nn.AvgPool2d(2)),
        lambda: nn.Sequential(nn.AvgPool2d(2, divisor_override=1)),
        "divisor_override is 1, and was None",
    ),
    "a setting of a class derived": (
        lambda: nn.Sequential(Derived(1, 2, 3)),
        lambda: nn.Sequential(Derived(1, 2, 3, padding_mode="circular")),
        "padding_mode is 'circular', and was 'zeros'",
    ),
    "smaller": (lambda: mlp(7), lambda: mlp(3), "out_features 7 in 0, and the model 3"),
    "no bias": (
        lambda: nn.Sequential(nn.Linear(4, 3)),
        lambda: nn.Sequential(nn.Linear(4, 3, bias=False)),
        "parameters and buffers it lacks 0.bias",
    ),
    "another axis": (
        lambda: nn.Sequential(nn.PReLU(3)),
        lambda: nn.Sequential(nn.PReLU(1)),
        "num_parameters 3 in 0, and the model 1",
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_structure_is_refused(name: str, tmp_path: Path) -> None:
    small, other, message = OTHERS[name]
    folder = save_network(small(), tmp_path / "network")
    with pytest.raises(StoreError, match=message):
        load_network(other, folder)
    with pytest.raises(StoreError, match=message):  # and told when it is saved
        save_network(small(), tmp_path / "never", like=other())
    assert not (tmp_path / "never").exists()


def test_a_size_of_ones_own_needs_the_unpruned_network(tmp_path: Path) -> None:
    """Residual reshapes by its own attribute: with `like` it is stored, without it is not."""
    pruned = trained(Residual(4, 2), (1, 8, 8))
    entry = read_json(save_network(pruned, tmp_path / "a", like=Residual()) / "network.json")
    assert entry["layers"][""] == {
        "type": "Residual", "widths": {"width": 4}, "before": {"width": 6},
    }  # fmt: skip
    entry = read_json(save_network(pruned, tmp_path / "b") / "network.json")
    assert entry["layers"][""] == {"type": "Residual"}


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: "a network", "takes a network"),
        (lambda: nn.LazyLinear(3), "weight has no size yet"),
        (lambda: nn.Sequential(sf.nn.StochasticLinear(4, 7)), r"samples in 0: .*collapse first"),
    ],
)
def test_what_is_given_must_be_a_plain_network(
    made: Callable[[], Any], message: str, tmp_path: Path
) -> None:
    folder = save_network(nn.Sequential(nn.Linear(4, 3)), tmp_path / "network")
    with pytest.raises(SettingError, match=message):
        load_network(made, folder)
    with pytest.raises(SettingError, match=message):
        save_network(made(), tmp_path / "never")
    assert not (tmp_path / "never").exists()


def test_a_broken_network_is_not_saved(tmp_path: Path) -> None:
    model = mlp()
    nn.init.constant_(model.get_parameter("0.bias"), float("nan"))
    with pytest.raises(DataError, match=r"0\.bias has values that are NaN"):
        save_network(model, tmp_path / "never")
    assert not (tmp_path / "never").exists()


class Remembers(nn.Linear):
    def get_extra_state(self) -> dict[str, int]:
        return {"calls": 3}


def test_state_that_is_no_tensor_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="_extra_state of the model is no tensor"):
        save_network(Remembers(2, 2), tmp_path)


# files that are not what they were


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save_network(mlp(3), tmp_path / "network")


def weights(folder: Path) -> Path:
    (path,) = folder.glob("*.safetensors")
    return path


def truncate(folder: Path) -> None:
    content = weights(folder).read_bytes()
    weights(folder).write_bytes(content[: len(content) // 2])


def flip(folder: Path) -> None:
    content = bytearray(weights(folder).read_bytes())
    content[-1] ^= 1
    weights(folder).write_bytes(bytes(content))


def alter(folder: Path) -> None:
    path = folder / "network.json"
    path.write_text(path.read_text().replace('"out_features": 3', '"out_features": 2', 1))


def cut(folder: Path) -> None:
    path = folder / "network.json"
    path.write_text(path.read_text()[:200])


def rewrite(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    """Changes with a checksum that fits, as someone could make them on purpose."""

    def do(folder: Path) -> None:
        content = read_json(folder / "network.json")
        del content["checksum"]
        change(content)
        write_json(folder / "network.json", {**content, "checksum": json_checksum(content)})

    return do


def narrower(content: dict[str, Any]) -> None:
    content["layers"]["4"]["widths"]["in_features"] = 2


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "weights truncated": (truncate, "truncated or was changed"),
    "weights altered": (flip, "truncated or was changed"),
    "weights gone": (lambda folder: weights(folder).unlink(), "is missing: copy the whole folder"),
    "settings altered": (alter, "was changed after it was saved"),
    "settings truncated": (cut, "truncated or damaged"),
    "settings gone": (lambda folder: (folder / "network.json").unlink(), "is not there"),
    "not ours": (lambda folder: write_json(folder / "network.json", [1]), "is not a network"),
    "another schema": (
        rewrite(lambda c: c.update(schema="sfumato.network/9")),
        "not a network of schema sfumato.network/1",
    ),
    "no layers": (rewrite(lambda c: c.pop("layers")), "does not say what it should"),
    "a width below 1": (
        rewrite(lambda c: c["layers"]["0"]["widths"].update(out_features=0)),
        "does not say what it should",
    ),
    "widths that are not those of the weights": (
        rewrite(narrower),
        "the weights of 4 are .* the files do not belong together",
    ),
    "a width of nothing": (
        rewrite(lambda c: c["layers"]["2"].update(widths={"forward": 3})),
        "2 has no forward",
    ),
    "a tie to nothing": (
        rewrite(lambda c: c["tied"].update({"0.bias": "9.bias"})),
        "the weights lack 9.bias",
    ),
    "weights elsewhere": (
        rewrite(lambda c: c["weights"].update(file="../../secret.safetensors")),
        "secret.safetensors is missing",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_told(name: str, saved: Path) -> None:
    load_network(mlp, saved)
    damage, message = DAMAGE[name]
    damage(saved)
    with pytest.raises(StoreError, match=message):
        load_network(mlp, saved)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="the folder does not exist"):
        load_network(mlp, tmp_path / "nowhere")


def test_a_full_disk_leaves_the_old_network(saved: Path) -> None:
    before = load_network(mlp, saved)
    with nearly_full(2000), pytest.raises(OutputError, match="disk full while writing"):
        save_network(small_cnn((1, 8, 8), 10), saved)
    assert torch.equal(load_network(mlp, saved)[0].weight, before[0].weight)
    assert len(list(saved.iterdir())) == 2


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "network").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        save_network(mlp(), tmp_path / "network")
