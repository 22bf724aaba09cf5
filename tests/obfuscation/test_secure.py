"""Secure mode: cryptographic draws, no seed, a floor that holds, no noise inside a graph."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import sfumato as sf
from sfumato.errors import DataError, SettingError
from sfumato.noise.source import SystemSource, TorchSource
from sfumato.obfuscation import bottleneck, conditional, exportable, release_dataset
from sfumato.train import seeded
from tests.obfuscation import tiny
from tests.obfuscation.fitting import SETTINGS
from tests.obfuscation.stand_in import Labelled

RECORD = (1, 4, 4)
BATCH = torch.export.Dim("batch", min=2)


def secure(selection: nn.Module | None = None) -> sf.Obfuscator:
    layer = conditional(RECORD, 3, 0.5).layer
    return sf.Obfuscator(layer, selection or sf.nn.SoftSelection(3), secure=True)


def records(count: int = 4) -> tuple[Tensor, Tensor]:
    return torch.rand(1, *RECORD).expand(count, -1, -1, -1), torch.arange(count) % 3


def calls(obfuscator: sf.Obfuscator) -> dict[str, Callable[[], Tensor]]:
    x, labels = records()
    return {
        "forward": lambda: obfuscator(x),
        "release": lambda: obfuscator.release(x, labels),
        "obfuscate": lambda: obfuscator.obfuscate(x, labels),
    }


CALLS = ["forward", "release", "obfuscate"]


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("combine", ["sum", "mixture"])
def test_every_draw_is_cryptographic(
    name: str, combine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("torch's generator was used")

    obfuscator = secure(sf.nn.SoftSelection(3, combine=combine))
    drawn, before = [], torch.get_rng_state()
    for method in ("normal", "symmetric"):
        monkeypatch.setattr(TorchSource, method, never)
    asked = SystemSource.symmetric

    def watched(*arguments: Any) -> Tensor:
        drawn.append(asked(*arguments))
        return drawn[-1]

    monkeypatch.setattr(SystemSource, "symmetric", watched)
    call = calls(obfuscator)[name]
    torch.manual_seed(0)
    first = call()
    torch.manual_seed(0)
    assert not torch.equal(first, call())
    assert len(drawn) >= 2
    torch.set_rng_state(before)


def test_obfuscate_too() -> None:
    obfuscator, (x, labels) = secure(), records()
    before = torch.get_rng_state()
    released = obfuscator.obfuscate(x, labels)
    assert torch.equal(torch.get_rng_state(), before)
    released.sum().backward()
    assert obfuscator.layer.weight.grad is not None


@pytest.mark.parametrize("name", CALLS)
def test_a_fixed_seed_is_refused(name: str) -> None:
    call = calls(secure())[name]
    with seeded(3), pytest.raises(SettingError, match="does not draw under a fixed seed"):
        call()
    call()


def test_the_end_of_a_seeded_block_is_seen_after_an_error() -> None:
    with pytest.raises(RuntimeError), seeded(3):
        raise RuntimeError
    calls(secure())["release"]()


@pytest.mark.parametrize("name", CALLS)
def test_an_average_is_refused(name: str) -> None:
    obfuscator = secure()
    with (
        sf.sampling(obfuscator.layer, 4),
        pytest.raises(SettingError, match="an average over n draws"),
    ):
        calls(obfuscator)[name]()


def test_a_fit_is_no_release_and_is_repeatable() -> None:
    """It rehearses under its own seed, and ends as that of the same layers without secure mode."""
    digests, data = [], tiny.records()[0]
    model = nn.Sequential(nn.Flatten(), nn.Linear(8, tiny.CLASSES))
    start = bottleneck(data.shape, 8, sigma=1.0, num_classes=tiny.CLASSES)
    for safe in (True, True, False):
        parts = copy.deepcopy(start)
        made = sf.Obfuscator(parts.layer, pre=parts.pre, secure=safe)
        sf.fit(made, model, data, settings=SETTINGS, target_epsilon=5.0)
        assert made.secure is safe and made.selection is not None
        digests.append(made.rehearsal().digest())
        released = made.release(data.inputs[:4], data.labels[:4])
        assert released.shape == (4, 8)
    assert len(set(digests)) == 1


@pytest.mark.parametrize("name", CALLS)
def test_torch_as_a_source_is_refused(name: str) -> None:
    obfuscator = secure()
    with (
        sf.sampling(obfuscator, "sample", source="torch"),
        pytest.raises(SettingError, match="inside sf"),
    ):
        calls(obfuscator)[name]()
    with sf.sampling(obfuscator, "sample", source="os"):
        calls(obfuscator)[name]()


def test_torch_asked_for_a_release_is_refused() -> None:
    obfuscator, (x, labels) = secure(), records()
    with pytest.raises(SettingError, match="not from 'torch': leave source out"):
        obfuscator.release(x, labels, source="torch")
    assert obfuscator.release(x, labels, source="os").shape == x.shape


def test_a_data_set_is_released_from_the_secure_source(tmp_path: Path) -> None:
    obfuscator, data = secure(), Labelled(7)
    manifest = release_dataset(obfuscator, data, tmp_path / "out")
    assert manifest.source == "os"
    with pytest.raises(SettingError, match="leave source out"):
        release_dataset(obfuscator, data, tmp_path / "other", source="torch")
    assert not (tmp_path / "other").exists()
    plain = sf.Obfuscator(obfuscator.layer)
    assert release_dataset(plain, data, tmp_path / "plain").source == "torch"


def test_it_is_part_of_the_obfuscator(tmp_path: Path) -> None:
    obfuscator = secure()
    plain = obfuscator.rehearsal()
    assert plain.layer is obfuscator.layer and not plain.secure
    assert plain.digest() != obfuscator.digest() and plain.rehearsal() is plain
    with seeded(1):
        plain.release(*records())
    for made in (obfuscator, plain):
        loaded = sf.Obfuscator.load(made.save(tmp_path / str(made.secure)), unaudited_ok=True)
        assert loaded.secure == made.secure and loaded.digest() == made.digest()


# --- the floor ---


def raw(obfuscator: sf.Obfuscator) -> Tensor:
    layer = obfuscator.layer
    assert isinstance(layer, sf.nn.ConditionalAdditiveNoise)
    return layer.weight.detach()[:, 1]


def additive() -> sf.Obfuscator:
    layer = conditional(RECORD, 3, 0.5, kind="additive", noise=sf.noise.Gaussian(0.3)).layer
    return sf.Obfuscator(layer, sf.nn.SoftSelection(3), secure=True)


@pytest.mark.parametrize("value", [-6e4, -math.inf])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_floor_holds_whatever_the_parameters(value: float, dtype: torch.dtype) -> None:
    obfuscator = additive().to(dtype)
    raw(obfuscator).fill_(value)
    x = torch.zeros(4000, *RECORD, dtype=dtype)
    released = obfuscator.release(x, torch.zeros(4000).long())
    assert released.dtype == dtype
    # 64,000 draws: the standard error of the deviation is 0.3 %
    assert float(released.double().std()) == pytest.approx(0.3, rel=0.02)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("name", CALLS)
def test_a_scale_that_is_none_is_refused(value: float, name: str) -> None:
    obfuscator = additive()
    raw(obfuscator)[:, 0, 1, 1] = value
    with pytest.raises(SettingError, match=r"below its floor of 0\.3, NaN or infinite"):
        calls(obfuscator)[name]()


def test_steps_of_an_optimiser_do_not_cross_the_floor() -> None:
    obfuscator, (x, labels) = additive(), records(300)
    optimizer = torch.optim.SGD(obfuscator.parameters(), lr=1e4, weight_decay=1e-5)
    for _ in range(20):
        optimizer.zero_grad()
        obfuscator.distribution(x, labels).stddev.sum().backward()
        optimizer.step()
    assert float(raw(obfuscator).max()) < -100
    assert float((obfuscator.release(x, labels) - x).std()) == pytest.approx(0.3, rel=0.1)


class Sinking(sf.nn.StochasticModule):
    """A layer of one's own whose scale does not keep to the floor of its law."""

    def blocks(self, x: Tensor) -> Any:
        return x, torch.zeros_like(x)

    def params(self, x: Tensor) -> Any:
        return x, torch.full_like(x, 1e-9)

    def forward(self, x: Tensor) -> Tensor:
        return self._emit(self.params(x), x)

    def config(self) -> dict[str, Any]:
        return {}


class Unseen(Sinking):
    """A layer that tells nobody what it draws with."""

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn_like(x)


@pytest.mark.parametrize(("layer", "words"), [(Sinking, "below its floor"), (Unseen, "be seen")])
def test_a_layer_of_ones_own_is_watched(layer: Any, words: str) -> None:
    with pytest.raises(SettingError, match=words):
        sf.Obfuscator(layer(), secure=True).release(*records())
    sf.Obfuscator(layer()).release(*records())


def test_a_location_that_overflows_is_not_released() -> None:
    obfuscator = secure()
    with torch.no_grad():
        obfuscator.layer.weight.fill_(1e30)  # type: ignore[union-attr]
    with pytest.raises(DataError, match="location is NaN or infinite"):
        obfuscator.release(torch.full((1, *RECORD), 1e30), torch.zeros(1).long())


@pytest.mark.parametrize(
    "layer",
    [
        sf.nn.StochasticLSTM(4, 3, batch_first=True),
        sf.nn.Conditional(3, lambda: sf.nn.StochasticLinear(4, 3)),
        sf.nn.StochasticLinear(4, 3, noise=sf.noise.Binomial(5)),
    ],
)
def test_other_layers_pass(layer: Any) -> None:
    made = sf.Obfuscator(layer, secure=True)
    x = torch.rand(3, 2, 4) if isinstance(layer, sf.nn.StochasticLSTM) else torch.rand(3, 4)
    first = made.release(x, torch.tensor([0, 1, 2]))
    assert first.shape[-1] == 3 and bool(torch.isfinite(first).all())


# --- export ---


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace")
def test_no_secure_obfuscator_in_a_graph() -> None:
    obfuscator, (x, _) = secure(), records()
    with pytest.raises(SettingError, match=r"not traced into a graph.*exportable"):
        torch.export.export(obfuscator, (x,), strict=False)
    with pytest.raises(SettingError, match="not traced into a graph"):
        torch.jit.trace(obfuscator, (x,))
    with pytest.raises(SettingError, match="not traced into a graph"):
        torch.jit.trace(lambda given: obfuscator.obfuscate(given, None), (x,))


RANDOM = ("rand", "normal", "bernoulli", "dropout", "exponential", "multinomial")


def graph_of(module: nn.Module, inputs: tuple[Tensor, ...]) -> torch.export.ExportedProgram:
    shapes = tuple({0: BATCH} for _ in inputs)
    program = torch.export.export(module, inputs, dynamic_shapes=shapes)
    targets = [str(node.target) for node in program.graph.nodes]
    assert any("addcmul" in target for target in targets)
    assert not [t for t in targets if t.startswith("aten") and any(word in t for word in RANDOM)]
    return program


@pytest.mark.parametrize("labels", [True, False])
@pytest.mark.parametrize("made", [secure, additive])
def test_the_noise_is_an_input_of_the_graph(made: Any, labels: bool) -> None:
    obfuscator, (x, classes) = made(), records()
    eps = obfuscator.layer.noise.draw(x.shape, source=sf.noise.source("os"))
    inputs = (x.clone(), classes, eps) if labels else (x.clone(), eps)
    graph = graph_of(exportable(obfuscator, labels=labels), inputs).module()
    law = obfuscator.distribution(x, classes if labels else None)
    expected = law.mean + law.stddev * eps
    torch.testing.assert_close(graph(*inputs), expected)
    more = tuple(torch.cat([part, part]) for part in inputs)
    torch.testing.assert_close(graph(*more), torch.cat([expected, expected]))


def test_a_bottleneck_is_exported_with_its_clipping() -> None:
    made = bottleneck(RECORD, 4, 1.0, num_classes=3, secure=True)
    x, labels = torch.rand(4, *RECORD), torch.arange(4) % 3
    graph = graph_of(exportable(made), (x, labels, torch.zeros(4, 4))).module()
    far = graph(1e6 * x, labels, torch.zeros(4, 4)).detach()
    assert float(far.norm(dim=1).max()) <= 1.0 + 1e-6


def test_a_plain_layer_and_a_gate() -> None:
    x, eps = torch.rand(4, *RECORD), torch.randn(4, *RECORD)
    plain = sf.obfuscation.isotropic(RECORD, 0.5)
    torch.testing.assert_close(exportable(plain, labels=False)(x, eps), x + 0.5 * eps)
    torch.testing.assert_close(exportable(plain)(x, torch.zeros(4), eps), x + 0.5 * eps)
    gate = nn.Sequential(nn.Flatten(), nn.Linear(16, 3), nn.Softmax(1))
    gated = sf.Obfuscator(conditional(RECORD, 3, 0.5).layer, gate)
    graph_of(exportable(gated, labels=False), (x, eps))


def test_what_cannot_be_exported() -> None:
    layer = conditional(RECORD, 3, 0.5).layer
    mixture = sf.Obfuscator(layer, sf.nn.SoftSelection(3, combine="mixture"))
    with pytest.raises(SettingError, match="a mixture draws a class"):
        exportable(mixture, labels=False)
    with pytest.raises(SettingError, match="no selection"):
        exportable(sf.Obfuscator(layer), labels=False)
    with pytest.raises(SettingError, match="does not take its noise as an input"):
        exportable(sf.Obfuscator(Sinking()))
