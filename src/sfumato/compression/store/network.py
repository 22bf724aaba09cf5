"""Saving a pruned network, and loading it into the code of the unpruned one."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor, nn

from sfumato.compression.counting import count
from sfumato.compression.store.fitting import fit
from sfumato.compression.store.layout import describe, is_width
from sfumato.compression.store.plain import check_plain
from sfumato.errors import SettingError, StoreError
from sfumato.files import (
    atomic,
    json_checksum,
    prepare_folder,
    read_json,
    read_weights,
    write_json,
)
from sfumato.train.run import provenance as about_this_run

SCHEMA = "sfumato.network/1"
SETTINGS = "network.json"


def save_network(
    model: nn.Module,
    folder: str | Path,
    *,
    like: nn.Module | None = None,
    input_shape: Sequence[int] | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Path:
    """Write a pruned network: `network.json` to read, and its weights as safetensors.

    The JSON has the widths of every layer, before and after where `like` is given, the counts, the
    provenance and the SHA-256 of the weights. It is written last, so that a folder holds the old
    network or the new one, and never half of one.

    Args:
        model: a plain network: with stochastic layers, `collapse` it first.
        folder: made where it is not there.
        like: the network as it was before pruning. It is tried at once whether the saved one can be
            loaded into it; and a class of your own may keep widths as whole numbers in its
            attributes, which can only be told by comparing.
        input_shape: of one record; then parameters, multiplications and activations are counted.
        provenance: what else is to be known of where the network comes from, as JSON values.

    Returns:
        The folder.

    Raises:
        SettingError: the model samples, or is no module.
        DataError: a value is NaN or infinite.
        StoreError: the model does not fit into `like`.
        OutputError: the disk is full, or the folder cannot be written.
    """
    check_plain(model, "save_network")
    tensors, tied = _state(model)
    layers = describe(model, like)
    if like is not None:
        check_plain(like, "like")
        fit(copy.deepcopy(like), layers, _untied(tensors, tied))
    settings: dict[str, Any] = {
        "schema": SCHEMA,
        "input_shape": None if input_shape is None else list(input_shape),
        "counts": _counts(model, like, input_shape),
        "layers": layers,
        "tied": tied,
        "provenance": {**about_this_run(), **(provenance or {})},
    }
    return _write(prepare_folder(folder), settings, tensors)


def load_network(model_or_factory: nn.Module | Callable[[], nn.Module], folder: str | Path) -> Any:
    """Read a pruned network into the code of the unpruned one.

    Args:
        model_or_factory: the network as it was before pruning, whose values do not matter and which
            is left as it is, or a function that makes one.
        folder: what `save_network` wrote.

    Returns:
        The pruned network, of the class of the unpruned one, in evaluation mode.

    Raises:
        StoreError: the folder is not there, a file is missing, truncated or was altered, or the
            network that is given is another one than the one that was pruned.
        SettingError: what is given is neither a network nor makes one.

    Example:
        >>> import torch, tempfile
        >>> from torch import nn
        >>> def make(width=8):
        ...     return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = save_network(make(width=3), folder, like=make())
        ...     load_network(make, folder)[0]
        Linear(in_features=4, out_features=3, bias=True)
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise StoreError(f"there is no network at {folder}: the folder does not exist")
    settings = _read(folder / SETTINGS)
    tensors = _untied(read_weights(folder, settings["weights"]), settings["tied"])
    if isinstance(model_or_factory, nn.Module):
        model = copy.deepcopy(model_or_factory)
    else:
        model = model_or_factory()
    check_plain(model, "load_network")
    fit(model, settings["layers"], tensors)
    return model.eval()


def _counts(
    model: nn.Module, like: nn.Module | None, input_shape: Sequence[int] | None
) -> dict[str, Any]:
    if input_shape is None:
        return {}
    shape = tuple(input_shape)
    before = {} if like is None else {"before": asdict(count(like, shape))}
    return {**before, "after": asdict(count(model, shape))}


def _state(model: nn.Module) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Every tensor once, and which further names stand for the same one."""
    tensors: dict[str, Tensor] = {}
    tied: dict[str, str] = {}
    first: dict[int, str] = {}
    for name, value in model.state_dict(keep_vars=True).items():
        if not isinstance(value, Tensor):
            raise SettingError(f"{name} of the model is no tensor and cannot be stored")
        if id(value) in first:
            tied[name] = first[id(value)]
            continue
        first[id(value)] = name
        tensors[name] = value.detach().cpu().contiguous().clone()
    return tensors, tied


def _untied(tensors: Mapping[str, Tensor], tied: Mapping[str, str]) -> dict[str, Tensor]:
    missing = sorted(set(tied.values()) - tensors.keys())
    if missing:
        raise StoreError(f"the weights lack {', '.join(missing)}: the files do not belong together")
    return {**tensors, **{name: tensors[other] for name, other in tied.items()}}


def _write(folder: Path, settings: dict[str, Any], tensors: dict[str, Tensor]) -> Path:
    content = save(tensors)
    digest = hashlib.sha256(content).hexdigest()
    name = f"weights-{digest[:16]}.safetensors"
    with atomic(folder / name) as part:
        part.write_bytes(content)
    settings["weights"] = {"file": name, "sha256": digest}
    write_json(folder / SETTINGS, {**settings, "checksum": json_checksum(settings)})
    for old in folder.glob("weights-*.safetensors"):
        if old.name != name:
            old.unlink()
    return folder


def _read(path: Path) -> dict[str, Any]:
    settings = read_json(path)
    if not isinstance(settings, dict) or settings.get("schema") != SCHEMA:
        raise StoreError(f"{path} is not a network of schema {SCHEMA}")
    if settings.pop("checksum", None) != json_checksum(settings):
        raise StoreError(f"{path} was changed after it was saved: its checksum does not match")
    if not _laid_out(settings):
        raise StoreError(f"{path} does not say what it should: save the network anew")
    return settings


def _laid_out(settings: dict[str, Any]) -> bool:
    weights, layers, tied = (settings.get(key) for key in ("weights", "layers", "tied"))
    return (
        isinstance(weights, dict)
        and all(isinstance(weights.get(key), str) for key in ("file", "sha256"))
        and isinstance(tied, dict)
        and all(isinstance(other, str) for other in tied.values())
        and isinstance(layers, dict)
        and all(_is_layer(entry) for entry in layers.values())
    )


def _is_layer(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("type"), str)
        and isinstance(entry.get("settings", {}), dict)
        and isinstance(entry.get("widths", {}), dict)
        and all(is_width(value) for value in entry.get("widths", {}).values())
    )
