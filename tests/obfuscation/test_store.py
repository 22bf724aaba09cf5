"""An obfuscator on disk comes back as it was, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import sfumato as sf
from sfumato.errors import OutputError, StoreError
from sfumato.obfuscation import store

load = partial(sf.Obfuscator.load, unaudited_ok=True)

LAPLACE = sf.noise.Laplace(min_scale=0.01)
PICTURES = (1, 4, 4)
Case = tuple[sf.nn.StochasticModule, tuple[int, ...]]

# Every layer class with arguments that are not the defaults, and the shape of its records.
LAYERS: dict[str, Callable[[], Case]] = {
    "StochasticLinear": lambda: (sf.nn.StochasticLinear(6, 4, bias=False, noise=LAPLACE), (6,)),
    "StochasticConv1d": lambda: (sf.nn.StochasticConv1d(2, 4, 3, groups=2, bound=(0, 1)), (2, 7)),
    "StochasticConv2d": lambda: (sf.nn.StochasticConv2d(1, 2, (3, 1), stride=2), PICTURES),
    "StochasticConv3d": lambda: (sf.nn.StochasticConv3d(1, 2, 2, dilation=2), (1, 4, 4, 4)),
    "StochasticLSTM": lambda: (
        sf.nn.StochasticLSTM(4, 3, 2, batch_first=True, bidirectional=True),
        (5, 4),
    ),
    "StochasticGRU": lambda: (
        sf.nn.StochasticGRU(4, 3, bias=False, batch_first=True, noise=LAPLACE),
        (5, 4),
    ),
    "StochasticTransformerEncoderLayer": lambda: (
        sf.nn.StochasticTransformerEncoderLayer(
            4, 2, 8, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        ),
        (5, 4),
    ),
    "StochasticSVM": lambda: (sf.nn.StochasticSVM(6, 3, "rbf", num_features=16), (6,)),
    "AdditiveNoise": lambda: (sf.nn.AdditiveNoise(PICTURES, LAPLACE, (0.0, 1.0)), PICTURES),
    "ConditionalLinear": lambda: (sf.nn.ConditionalLinear(3, 6, 4, noise=LAPLACE), (6,)),
    "ConditionalConv1d": lambda: (sf.nn.ConditionalConv1d(3, 2, 2, 3, bias=False), (2, 7)),
    "ConditionalConv2d": lambda: (
        sf.nn.ConditionalConv2d(3, 1, 2, 3, padding="same", padding_mode="circular"),
        PICTURES,
    ),
    "ConditionalConv3d": lambda: (sf.nn.ConditionalConv3d(3, 1, 1, 3, padding=1), (1, 3, 3, 3)),
    "ConditionalAdditiveNoise": lambda: (
        sf.nn.ConditionalAdditiveNoise(3, PICTURES, LAPLACE, sf.nn.Bound(0, 1, True)),
        PICTURES,
    ),
}
SELECTIONS: dict[str, Callable[[], sf.nn.SoftSelection | None]] = {
    "none": lambda: None,
    "per class": lambda: sf.nn.SoftSelection(3),
    "per channel": lambda: sf.nn.SoftSelection(3, (1,), "output", temperature=0.5),
    "per element": lambda: sf.nn.SoftSelection(3, PICTURES),
    "mixture": lambda: sf.nn.SoftSelection(3, combine="mixture"),
    "sigmoids": lambda: sf.nn.SoftSelection(3, normalize=False),
}


def scrambled(obfuscator: sf.Obfuscator) -> sf.Obfuscator:
    for parameter in obfuscator.parameters():
        nn.init.normal_(parameter)
    return obfuscator


def pictures(selection: nn.Module | None = None) -> sf.Obfuscator:
    return scrambled(sf.Obfuscator(sf.nn.ConditionalConv2d(3, 1, 1, 3, padding=1), selection))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return pictures(sf.nn.SoftSelection(3)).save(tmp_path / "obfuscator")


def assert_same(one: sf.Obfuscator, other: sf.Obfuscator, x: Tensor, labels: Tensor) -> None:
    assert one.digest() == other.digest()
    laws = [o.distribution(x, labels) for o in (one, other)]
    assert torch.equal(laws[0].mean, laws[1].mean)
    assert torch.equal(laws[0].stddev, laws[1].stddev)
    assert type(laws[0]) is type(laws[1])


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_every_layer_is_in_the_table() -> None:
    layers = {
        name
        for name, thing in vars(sf.nn).items()
        if isinstance(thing, type) and issubclass(thing, sf.nn.StochasticModule)
    }
    # abstract, or around a network of the user's own
    others = {"StochasticModule", "Stochastic", "Conditional"}
    assert layers - others == LAYERS.keys()


@pytest.mark.parametrize("name", LAYERS)
def test_round_trip_of_every_layer(name: str, tmp_path: Path) -> None:
    layer, shape = LAYERS[name]()
    assert type(layer).__name__ == name
    obfuscator = scrambled(sf.Obfuscator(layer))
    loaded = load(obfuscator.save(tmp_path / "out"))
    assert loaded.layer.config() == layer.config()
    x, labels = torch.rand(4, *shape), torch.tensor([0, 1, 2, 0])
    assert_same(obfuscator, loaded, x, labels)
    for parameter, other in zip(obfuscator.parameters(), loaded.parameters(), strict=True):
        assert torch.equal(parameter, other) and other.requires_grad


@pytest.mark.parametrize("name", SELECTIONS)
def test_round_trip_of_every_selection(name: str, tmp_path: Path) -> None:
    obfuscator = pictures(SELECTIONS[name]())
    loaded = load(obfuscator.save(tmp_path / "out"))
    assert loaded.digest() == obfuscator.digest()
    x = torch.rand(4, *PICTURES)
    if name == "none":
        assert loaded.selection is None
        return
    released = []
    for one in (obfuscator, loaded):
        torch.manual_seed(0)
        released.append(one(x))
    assert torch.equal(*released)


def test_double_precision_stays(tmp_path: Path) -> None:
    obfuscator = pictures(sf.nn.SoftSelection(3)).double()
    loaded = load(obfuscator.save(tmp_path / "out"))
    assert_same(obfuscator, loaded, torch.rand(2, *PICTURES).double(), torch.tensor([0, 2]))


class Gate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: Tensor) -> Tensor:
        one = torch.sigmoid(self.slope * x.flatten(1).mean(1))
        return torch.stack([one, 1 - one, torch.zeros_like(one)], 1)


def test_a_gate_of_ones_own_is_passed_again(tmp_path: Path) -> None:
    obfuscator = pictures(Gate())
    folder = obfuscator.save(tmp_path / "out")
    with pytest.raises(StoreError, match=r"selection of type 'Gate'.*pass it as selection="):
        load(folder)
    assert load(folder, selection=Gate()).digest() == obfuscator.digest()


def test_regular_layers_come_back(tmp_path: Path) -> None:
    pre = nn.Conv2d(1, 2, 3)
    obfuscator = scrambled(sf.Obfuscator(sf.nn.ConditionalConv2d(3, 2, 1, 1), pre=pre))
    folder = obfuscator.save(tmp_path / "out")
    for loaded in (load(folder), load(folder, pre=nn.Conv2d(1, 2, 3))):
        assert_same(obfuscator, loaded, torch.rand(2, *PICTURES), torch.tensor([0, 2]))
    with pytest.raises(StoreError, match="do not fit the settings"):
        load(folder, pre=nn.Conv2d(1, 2, 5))


class Doubling(sf.nn.StochasticModule):
    """A layer of a user's own."""

    def blocks(self, x: Tensor) -> Any:
        return 2 * x, torch.zeros_like(x)

    def forward(self, x: Tensor) -> Tensor:
        return self._emit(self.params(x), x)

    def config(self) -> dict[str, Any]:
        return {}


def test_a_layer_of_ones_own_is_passed_again(tmp_path: Path) -> None:
    folder = sf.Obfuscator(Doubling()).save(tmp_path / "out")
    with pytest.raises(StoreError, match=r"layer of type 'Doubling'.*pass it as layer="):
        load(folder)
    assert isinstance(load(folder, layer=Doubling()).layer, Doubling)


def test_the_settings_can_be_read_by_people(saved: Path) -> None:
    settings = json.loads((saved / "obfuscator.json").read_text(encoding="utf-8"))
    assert settings["schema"] == "sfumato.obfuscator/1"
    assert settings["layer"]["type"] == "ConditionalConv2d"
    assert settings["layer"]["arguments"]["noise"] == {"law": "Gaussian", "min_scale": 0.001}
    assert settings["selection"]["arguments"]["combine"] == "sum"


def test_pickle_is_never_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("pickle was used")

    for name in ("load", "loads", "dump", "dumps", "Unpickler", "Pickler"):
        monkeypatch.setattr(f"pickle.{name}", never)
    monkeypatch.setattr(torch, "load", never)
    monkeypatch.setattr(torch, "save", never)
    folder = pictures(sf.nn.SoftSelection(3)).save(tmp_path / "out")
    load(folder)


def weights(folder: Path) -> Path:
    (path,) = folder.glob("*.safetensors")
    return path


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.99])
def test_truncated_weights(saved: Path, kept: float) -> None:
    content = weights(saved).read_bytes()
    weights(saved).write_bytes(content[: int(kept * len(content))])
    with pytest.raises(StoreError, match=r"safetensors is truncated or was changed"):
        load(saved)


@pytest.mark.parametrize("place", [0, 20, -1])
def test_a_flipped_byte(saved: Path, place: int) -> None:
    content = bytearray(weights(saved).read_bytes())
    content[place] ^= 1
    weights(saved).write_bytes(content)
    with pytest.raises(StoreError, match="its checksum does not match"):
        load(saved)


def test_missing_files(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no obfuscator at .*elsewhere"):
        load(tmp_path / "elsewhere")
    weights(saved).unlink()
    with pytest.raises(StoreError, match=r"weights-.* is missing: copy the whole folder"):
        load(saved)
    (saved / "obfuscator.json").unlink()
    with pytest.raises(StoreError, match=r"obfuscator\.json is not there"):
        load(saved)


def test_truncated_settings(saved: Path) -> None:
    path = saved / "obfuscator.json"
    path.write_text(path.read_text(encoding="utf-8")[:-40], encoding="utf-8")
    with pytest.raises(StoreError, match="truncated or damaged"):
        load(saved)


def edited(folder: Path, change: Callable[[dict[str, Any]], Any], *, forged: bool) -> None:
    """Change the settings; `forged` makes the checksum anew, as someone would who means harm."""
    path = folder / "obfuscator.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    change(settings)
    if forged:
        settings.pop("checksum")
        settings["checksum"] = store.json_checksum(settings)
    path.write_text(json.dumps(settings), encoding="utf-8")


def smaller_noise(settings: dict[str, Any]) -> None:
    settings["layer"]["arguments"]["noise"]["min_scale"] = 1e-9


def test_edited_settings(saved: Path) -> None:
    edited(saved, smaller_noise, forged=False)
    with pytest.raises(StoreError, match="was changed after it was saved"):
        load(saved)


@pytest.mark.parametrize("content", ["[]", "3", '{"schema": "sfumato.obfuscator/9"}', "{}"])
def test_settings_of_something_else(saved: Path, content: str) -> None:
    (saved / "obfuscator.json").write_text(content, encoding="utf-8")
    with pytest.raises(StoreError, match="is not an obfuscator of schema"):
        load(saved)


FORGERIES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "unknown layer": lambda s: s["layer"].update(type="ConditionalConv9d"),
    "a function": lambda s: s["layer"].update(type="add_background"),
    "a module": lambda s: s["layer"].update(type="conditional"),
    "an abstract class": lambda s: s["layer"].update(type="StochasticModule"),
    "a selection as layer": lambda s: s.update(layer=s["selection"]),
    "a layer as selection": lambda s: s.update(selection=s["layer"]),
    "no type": lambda s: s["layer"].pop("type"),
    "a type that is no name": lambda s: s["layer"].update(type=["ConditionalConv2d"]),
    "unknown argument": lambda s: s["layer"]["arguments"].update(colour="red"),
    "impossible argument": lambda s: s["layer"]["arguments"].update(num_classes=0),
    "arguments that are none": lambda s: s["layer"].update(arguments=[1, 2]),
    "unknown law": lambda s: s["layer"]["arguments"]["noise"].update(law="Cauchy"),
    "a law that is none": lambda s: s["layer"]["arguments"]["noise"].update(law="SystemSource"),
    "no law": lambda s: s["layer"]["arguments"].update(noise="Gaussian"),
    "another layer": lambda s: s["layer"]["arguments"].update(out_channels=2),
    "no layer": lambda s: s.pop("layer"),
    "no weights": lambda s: s.pop("weights"),
    "no file": lambda s: s.update(weights={}),
    "no such file": lambda s: s["weights"].update(file="weights-0.safetensors"),
    "the folder itself": lambda s: s["weights"].update(file=""),
    "the folder above": lambda s: s["weights"].update(file=".."),
    "a number": lambda s: s["weights"].update(file=3),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_settings_that_cannot_be(saved: Path, name: str) -> None:
    edited(saved, FORGERIES[name], forged=True)
    with pytest.raises(StoreError) as caught:
        load(saved)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("relative", [True, False])
def test_nothing_outside_of_the_folder_is_read(saved: Path, tmp_path: Path, relative: bool) -> None:
    outside = weights(saved).rename(tmp_path / "outside.safetensors")
    name = "../outside.safetensors" if relative else str(outside)
    edited(saved, lambda s: s["weights"].update(file=name), forged=True)
    with pytest.raises(StoreError, match="is missing"):
        load(saved)


def test_weights_of_another_obfuscator(saved: Path, tmp_path: Path) -> None:
    other = sf.obfuscation.isotropic(PICTURES, 1.0).save(tmp_path / "other")
    entry = json.loads((other / "obfuscator.json").read_text(encoding="utf-8"))["weights"]
    (saved / entry["file"]).write_bytes(weights(other).read_bytes())
    edited(saved, lambda s: s.update(weights=entry), forged=True)
    with pytest.raises(StoreError, match="do not fit the settings") as caught:
        load(saved)
    assert "\n" not in str(caught.value)


def test_saving_again_replaces(saved: Path) -> None:
    other = pictures()
    other.save(saved)
    assert load(saved).digest() == other.digest()
    assert len(files(saved)) == 2


@pytest.mark.parametrize("step", ["save_file", "write_json"])
@pytest.mark.parametrize("again", [True, False])
def test_an_interrupted_save(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, again: bool
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    before, folder = load(saved).digest(), saved if again else tmp_path / "new"
    other = pictures()
    monkeypatch.setattr(store, step, interrupted)
    with pytest.raises(KeyboardInterrupt):
        other.save(folder)
    monkeypatch.undo()
    assert not list(folder.glob("*.part"))
    if again:
        assert load(folder).digest() == before
    else:
        with pytest.raises(StoreError, match="is not there"):
            load(folder)
    other.save(folder)
    assert load(folder).digest() == other.digest()
    assert len(files(folder)) == 2


def test_a_full_disk(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Any, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    before = files(saved)
    monkeypatch.setattr(store, "save_file", full)
    with pytest.raises(OutputError, match="disk full"):
        pictures().save(saved)
    assert files(saved) == before
    load(saved)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        pictures().save(tmp_path / "file" / "obfuscator")
