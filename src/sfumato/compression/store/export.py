"""A plain network for other engines: ONNX, and a program of `torch.export`."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from sfumato.compression.store.plain import check_plain
from sfumato.errors import MissingDependency, SettingError
from sfumato.files import atomic, prepare_folder


def export_onnx(model: nn.Module, input_shape: Sequence[int], path: str | Path) -> Path:
    """Write a plain network as one ONNX file, in evaluation mode.

    The input is called `input` and the output `output`, `[batch, ...]` with any number of records.

    Args:
        model: a plain network: with stochastic layers, `collapse` it first.
        input_shape: of one record.
        path: the file.

    Returns:
        The file.

    Raises:
        SettingError: the model samples, cannot take such records, or cannot be exported with the
            number of records left open; or it is larger than ONNX's 2 GB for one file.
        DataError: a value is NaN or infinite.
        MissingDependency: onnx or onnxscript is not installed.
        OutputError: the disk is full, or the folder cannot be written.
    """
    for name in ("onnx", "onnxscript"):
        if find_spec(name) is None:
            raise MissingDependency(
                f'export to ONNX needs {name}, which is not installed: pip install "sfumato[prune]"'
            )
    program = _program(model, input_shape, "export_onnx")
    with _quiet():
        try:
            made = torch.onnx.export(
                program,
                dynamo=True,
                verbose=False,
                input_names=["input"],
                output_names=["output"],
                external_data=False,
            )
            assert made is not None
            content = made.model_proto.SerializeToString()
        except Exception as error:  # the exporter raises many kinds
            raise SettingError(f"the network cannot be written as ONNX: {_line(error)}") from error
    return _write(path, content)


def export_program(model: nn.Module, input_shape: Sequence[int], path: str | Path) -> Path:
    """Write a plain network as a program of `torch.export`, in evaluation mode.

    `torch.export.load(path).module()` takes `[batch, ...]` with any number of records, and needs
    none of the network's code.

    Args:
        model: a plain network: with stochastic layers, `collapse` it first.
        input_shape: of one record.
        path: the file; torch calls such files `.pt2`.

    Returns:
        The file.

    Raises:
        SettingError: the model samples, cannot take such records, or cannot be exported with the
            number of records left open.
        DataError: a value is NaN or infinite.
        OutputError: the disk is full, or the folder cannot be written.
    """
    program, stream = _program(model, input_shape, "export_program"), io.BytesIO()
    with _quiet():
        torch.export.save(program, stream)
    return _write(path, stream.getvalue())


def _program(
    model: nn.Module, input_shape: Sequence[int], purpose: str
) -> torch.export.ExportedProgram:
    check_plain(model, purpose)
    example = _example(model, input_shape)
    modes = {part: part.training for part in model.modules()}
    model.eval()
    try:
        with _quiet(), torch.no_grad():
            _try(model, example)
            batch = torch.export.Dim("batch")
            return torch.export.export(model, (example,), dynamic_shapes=({0: batch},))
    except SettingError:
        raise
    except Exception as error:  # the exporter raises many kinds
        raise SettingError(
            "the network cannot be exported with the number of records left open: its forward must "
            f"not depend on it, nor on values. {_line(error)}"
        ) from error
    finally:
        for part, training in modes.items():
            part.training = training


def _example(model: nn.Module, input_shape: Sequence[int]) -> Tensor:
    if not input_shape or min(input_shape) < 1:
        raise SettingError(
            f"input_shape is the shape of one record, such as (1, 28, 28), not {tuple(input_shape)}"
        )
    first = next((p for p in model.parameters() if p.is_floating_point()), torch.zeros(()))
    # two records: torch.export takes an axis of one element for a constant
    return torch.zeros(2, *input_shape, dtype=first.dtype, device=first.device)


def _try(model: nn.Module, example: Tensor) -> None:
    try:
        model(example)
    except Exception as error:  # whatever the user's forward raises
        raise SettingError(
            f"the network cannot take records of shape {tuple(example.shape[1:])}: {_line(error)}"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporters warn of their own insides, and log that torchvision is not there."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else f"{text[:300]} ..."


def _write(path: str | Path, content: bytes) -> Path:
    path = Path(path)
    prepare_folder(path.parent)
    with atomic(path) as part:
        part.write_bytes(content)
    return path
