"""A selector on disk: safetensors and readable JSON, never pickle."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from safetensors.torch import save

from sfumato.errors import DataError, SettingError, SfumatoError, StoreError
from sfumato.files import (
    atomic,
    json_checksum,
    prepare_folder,
    read_json,
    read_weights,
    write_json,
)
from sfumato.pixels.selectors.base import Selector
from sfumato.pixels.selectors.edges import Edges
from sfumato.pixels.selectors.expected_error import ExpectedError
from sfumato.pixels.selectors.fixed import FixedMask
from sfumato.pixels.selectors.grid import Grid
from sfumato.pixels.selectors.gumbel import GumbelMask
from sfumato.pixels.selectors.jittered import JitteredGrid
from sfumato.pixels.selectors.l1 import L1Mask
from sfumato.pixels.selectors.oracle import Oracle
from sfumato.pixels.selectors.probabilistic import Probabilistic
from sfumato.pixels.selectors.stratified import Stratified
from sfumato.pixels.selectors.top_k import TopK
from sfumato.pixels.selectors.uncertainty import Uncertainty
from sfumato.pixels.selectors.uniform import Random

SCHEMA = "sfumato.selector/1"
SETTINGS = "selector.json"
KINDS: tuple[type[Selector], ...] = (
    Edges,
    ExpectedError,
    FixedMask,
    Grid,
    GumbelMask,
    JitteredGrid,
    L1Mask,
    Probabilistic,
    Random,
    Stratified,
    TopK,
    Uncertainty,
)


def save_selector(selector: Selector, folder: str | Path) -> Path:
    """Write a selector: `selector.json` to read, and its weights as safetensors.

    The JSON is written last and names the weights it goes with, so that a folder holds the old
    selector or the new one, and never half of one. The predictor of an `Uncertainty` is not in it.

    Args:
        selector: of sfumato, or one of your own.
        folder: made where it is not there.

    Returns:
        The folder.

    Raises:
        SettingError: an `Oracle`: it holds the truth of a few pictures.
        DataError: a weight is NaN or infinite.
        OutputError: the disk is full, or the folder cannot be written.
    """
    if isinstance(selector, Oracle):
        raise SettingError("an oracle holds the truth of a few pictures: there is nothing to save")
    weights = {name: t.detach().cpu().contiguous() for name, t in selector.state_dict().items()}
    for name, weight in weights.items():
        if not bool(weight.isfinite().all()):
            raise DataError(f"{name} of the selector holds NaN or infinite values")
    settings: dict[str, Any] = {
        "schema": SCHEMA,
        "type": type(selector).__name__,
        "arguments": selector.config(),
    }
    content = save(weights)
    digest = hashlib.sha256(content).hexdigest()
    name = f"weights-{digest[:16]}.safetensors"
    settings["weights"] = {"file": name, "sha256": digest}
    folder = prepare_folder(folder)
    with atomic(folder / name) as part:
        part.write_bytes(content)
    write_json(folder / SETTINGS, {**settings, "checksum": json_checksum(settings)})
    for old in folder.glob("weights-*.safetensors"):
        if old.name != name:
            old.unlink()
    return folder


def load_selector(
    folder: str | Path, *, kind: type[Selector] | None = None, **given: Any
) -> Selector:
    """Read what `save_selector` wrote, and check it.

    Args:
        folder: the folder.
        kind: the class of a selector of your own.
        given: what the settings do not hold, such as the `predictor` of an `Uncertainty`.

    Raises:
        StoreError: the folder is not there; a file is missing, truncated or was altered; or the
            settings do not fit the class, as where a predictor is not given.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     saved = save_selector(Stratified(3, (8, 8), centre=2.0), folder)
        ...     load_selector(saved).config()["centre"]
        2.0
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise StoreError(f"there is no selector at {folder}: the folder does not exist")
    settings = _read_settings(folder / SETTINGS)
    kinds = {known.__name__: known for known in (*KINDS, *((kind,) if kind else ()))}
    made = kinds.get(settings["type"])
    if made is None:
        raise StoreError(
            f"{folder} has a selector of type {settings['type']!r}, which is not one of sfumato's: "
            "give its class as kind=..."
        )
    arguments = {**settings["arguments"], **given}
    try:
        selector = made(**{**arguments, "size": tuple(arguments["size"])})
        selector.load_state_dict(read_weights(folder, settings["weights"]))
    except (KeyError, TypeError, ValueError, RuntimeError, SfumatoError) as error:
        if isinstance(error, StoreError):
            raise
        detail = " ".join(str(error).split())
        raise StoreError(f"the selector in {folder} cannot be built: {detail}") from error
    return selector


def _read_settings(path: Path) -> dict[str, Any]:
    settings = read_json(path)
    if not isinstance(settings, dict) or settings.get("schema") != SCHEMA:
        raise StoreError(f"{path} is not a selector of schema {SCHEMA}")
    if settings.pop("checksum", None) != json_checksum(settings):
        raise StoreError(f"{path} was changed after it was saved: its checksum does not match")
    weights = settings.get("weights")
    whole = (
        isinstance(settings.get("type"), str)
        and isinstance(settings.get("arguments"), dict)
        and isinstance(weights, dict)
        and all(isinstance(weights.get(key), str) for key in ("file", "sha256"))
    )
    if not whole:
        raise StoreError(f"{path} does not say what it should: save the selector anew")
    return settings
