"""What other engines compute is what the network computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import sfumato as sf
from sfumato.compression.store import export_onnx, export_program
from sfumato.errors import DataError, MissingDependency, OutputError, SettingError
from tests.compression.store.networks import Residual, grouped, mlp, trained
from tests.disk import nearly_full

NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "mlp": (mlp, (4,)),
    "residual": (Residual, (1, 8, 8)),
    "grouped": (grouped, (1, 8, 8)),
}
Export = Callable[..., Path]
EXPORTS = pytest.mark.parametrize("export", [export_onnx, export_program])


@pytest.mark.parametrize("name", NETWORKS)
def test_onnx(name: str, tmp_path: Path) -> None:
    import onnxruntime

    make, shape = NETWORKS[name]
    model = trained(make(), shape)
    path = export_onnx(model, shape, tmp_path / "deep" / "network.onnx")
    assert [each.name for each in path.parent.iterdir()] == ["network.onnx"]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for records in (1, 2, 7):
        x = torch.rand(records, *shape)
        (found,) = session.run(["output"], {"input": x.numpy()})
        np.testing.assert_allclose(np.asarray(found), model(x).detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_program(name: str, tmp_path: Path) -> None:
    make, shape = NETWORKS[name]
    model = trained(make(), shape)
    program = torch.export.load(export_program(model, shape, tmp_path / "network.pt2"))
    for records in (1, 2, 7):
        x = torch.rand(records, *shape)
        torch.testing.assert_close(program.module()(x), model(x), atol=1e-5, rtol=0)


def test_a_training_network_is_exported_for_evaluation_and_trains_on(tmp_path: Path) -> None:
    model = trained(mlp(), (4,)).train()
    model.get_submodule("1").eval()
    program = torch.export.load(export_program(model, (4,), tmp_path / "network.pt2"))
    assert [part.training for part in model.children()] == [True, False, True, True, True]
    x = torch.rand(3, 4)
    torch.testing.assert_close(program.module()(x), model.eval()(x))


@EXPORTS
def test_noise_is_refused(export: Export, tmp_path: Path) -> None:
    noisy = nn.Sequential(nn.Flatten(), sf.nn.StochasticLinear(4, 2))
    with pytest.raises(SettingError, match=r"samples in 1: .*sfumato\.compression\.collapse first"):
        export(noisy, (4,), tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


class Fixed(nn.Module):
    """Knows how many records there are."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(2, -1)


@EXPORTS
@pytest.mark.parametrize(
    ("model", "shape", "message"),
    [
        (mlp(), (5,), r"cannot take records of shape \(5,\)"),
        (mlp(), (), "the shape of one record"),
        (mlp(), (4, 0), "the shape of one record"),
        (Fixed(), (4,), "number of records left open"),
    ],
)
def test_what_cannot_be_exported(
    export: Export, model: nn.Module, shape: tuple[int, ...], message: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingError, match=message):
        export(model, shape, tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


@EXPORTS
def test_nan_is_refused(export: Export, tmp_path: Path) -> None:
    model = nn.Linear(2, 2)
    nn.init.constant_(model.weight, float("inf"))
    with pytest.raises(DataError, match="NaN or infinite"):
        export(model, (2,), tmp_path / "file")


@EXPORTS
def test_a_full_disk(export: Export, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("what was there")
    model = nn.Linear(64, 64)
    with nearly_full(1000), pytest.raises(OutputError, match="disk full while writing"):
        export(model, (64,), path)
    assert path.read_text() == "what was there"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_package_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sfumato.compression.store.export.find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=r"needs onnx.*sfumato\[prune\]"):
        export_onnx(mlp(), (4,), tmp_path / "file")
