"""An obfuscator on disk: safetensors and readable JSON, never pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from safetensors.torch import save_file
from torch import nn

import sfumato.nn
import sfumato.noise
from sfumato.errors import SfumatoError, StoreError
from sfumato.files import (
    atomic,
    json_checksum,
    prepare_folder,
    read_json,
    read_weights,
    sha256,
    write_json,
)
from sfumato.nn import SoftSelection, StochasticModule
from sfumato.obfuscation.obfuscator import Obfuscator
from sfumato.obfuscation.regular import build_regular, describe_regular

SCHEMA = "sfumato.obfuscator/1"
SETTINGS = "obfuscator.json"
Built = TypeVar("Built", bound=nn.Module)


def describe(obfuscator: Obfuscator) -> dict[str, Any]:
    """What the obfuscator is made of, as JSON values."""
    selection, pre = obfuscator.selection, obfuscator.pre
    return {
        "layer": _describe_module(obfuscator.layer),
        "selection": None if selection is None else _describe_module(selection),
        "pre": None if isinstance(pre, nn.Identity) else describe_regular(pre) or str(pre),
        **({"secure": True} if obfuscator.secure else {}),
    }


def save(obfuscator: Obfuscator, folder: Path) -> Path:
    """Write settings and weights; the settings come last and name the weights they go with."""
    folder = prepare_folder(folder)
    weights = {name: t.detach().cpu().contiguous() for name, t in obfuscator.state_dict().items()}
    name = f"weights-{obfuscator.digest()[:16]}.safetensors"
    with atomic(folder / name) as part:
        save_file(weights, part)
    settings: dict[str, Any] = {
        "schema": SCHEMA,
        **describe(obfuscator),
        "weights": {"file": name, "sha256": sha256(folder / name)},
    }
    write_json(folder / SETTINGS, {**settings, "checksum": json_checksum(settings)})
    for old in folder.glob("weights-*.safetensors"):
        if old.name != name:
            old.unlink()
    return folder


def load(
    folder: Path,
    layer: StochasticModule | None,
    selection: nn.Module | None,
    pre: nn.Module | None,
) -> Obfuscator:
    """Read settings and weights, check them, and build the obfuscator."""
    if not folder.is_dir():
        raise StoreError(f"there is no obfuscator at {folder}: the folder does not exist")
    settings = _read_settings(folder / SETTINGS)
    weights = read_weights(folder, settings["weights"])
    obfuscator = Obfuscator(
        layer or _build(settings["layer"], folder, "layer", StochasticModule),
        selection or _read_selection(settings["selection"], folder),
        pre or _read_regular(settings["pre"], folder),
        secure=settings.get("secure", False),
    )
    try:
        obfuscator.load_state_dict(weights, assign=True)  # assigned, they keep their precision
    except RuntimeError as error:
        detail = " ".join(str(error).split())
        raise StoreError(f"the weights in {folder} do not fit the settings: {detail}") from error
    return obfuscator


def _describe_module(module: nn.Module) -> dict[str, Any]:
    config = getattr(module, "config", None)
    return {
        "type": type(module).__name__,
        "arguments": config() if callable(config) else None,
    }


def _read_settings(path: Path) -> dict[str, Any]:
    settings = read_json(path)
    if not isinstance(settings, dict) or settings.get("schema") != SCHEMA:
        raise StoreError(f"{path} is not an obfuscator of schema {SCHEMA}")
    if settings.pop("checksum", None) != json_checksum(settings):
        raise StoreError(f"{path} was changed after it was saved: its checksum does not match")
    if not _laid_out(settings):
        raise StoreError(f"{path} does not say what it should: save the obfuscator anew")
    return settings


def _laid_out(settings: dict[str, Any]) -> bool:
    weights, described = settings.get("weights"), [settings.get("layer")]
    described += [entry for entry in (settings.get("selection"),) if entry is not None]
    return (
        {"selection", "pre"} <= settings.keys()
        and isinstance(weights, dict)
        and all(isinstance(weights.get(key), str) for key in ("file", "sha256"))
        and all(_describes_module(entry) for entry in described)
        and isinstance(settings.get("secure", False), bool)
    )


def _describes_module(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("type"), str)
        and isinstance(entry.get("arguments", 0), (dict, type(None)))
    )


def _read_selection(entry: dict[str, Any] | None, folder: Path) -> nn.Module | None:
    return None if entry is None else _build(entry, folder, "selection", SoftSelection)


def _read_regular(entry: dict[str, Any] | str | None, folder: Path) -> nn.Module | None:
    if entry is None:
        return None
    if isinstance(entry, str):
        raise StoreError(
            f"the obfuscator in {folder} has regular layers before its noise: pass them as "
            f"pre=..., built as {entry!r}"
        )
    try:
        return build_regular(entry)
    except (TypeError, ValueError, SfumatoError) as error:
        detail = " ".join(str(error).split())
        raise StoreError(f"the regular layers in {folder} do not fit: {detail}") from error


def _build(entry: dict[str, Any], folder: Path, role: str, kind: type[Built]) -> Built:
    made = getattr(sfumato.nn, entry["type"], None)
    if not isinstance(made, type) or not issubclass(made, kind) or entry["arguments"] is None:
        raise StoreError(
            f"{folder} has a {role} of type {entry['type']!r}, which is not one of sfumato's: "
            f"build it and pass it as {role}=..."
        )
    arguments = dict(entry["arguments"])
    try:
        if "noise" in arguments:
            arguments["noise"] = _law(dict(arguments["noise"]))
        if arguments.get("bound") is not None:
            arguments["bound"] = sfumato.nn.Bound(**arguments["bound"])
        for name in ("shape", "kernel_size", "stride", "padding", "dilation"):
            if isinstance(arguments.get(name), list):
                arguments[name] = tuple(arguments[name])
        return made(**arguments)
    except (KeyError, TypeError, ValueError, SfumatoError) as error:
        raise StoreError(f"the settings of the {role} in {folder} do not fit: {error}") from error


def _law(entry: dict[str, Any]) -> sfumato.noise.NoiseLaw:
    made = getattr(sfumato.noise, entry.pop("law"), None)
    if not isinstance(made, type) or not issubclass(made, sfumato.noise.NoiseLaw):
        raise TypeError("the noise law is not one of sfumato's: pass the layer as layer=...")
    return made(**entry)
