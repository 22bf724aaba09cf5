"""A card on disk: readable JSON without a record in it, and the pictures apart."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import safetensors
from safetensors.torch import load_file, save_file

from sfumato.errors import StoreError
from sfumato.files import atomic, json_checksum, read_json, sha256, write_json
from sfumato.privacy.audits.bracket import information
from sfumato.privacy.audits.checks import Check
from sfumato.privacy.audits.rows import Certified, Worst, attack_row, baselines, control_row
from sfumato.privacy.statistics import Figure

SCHEMA = "sfumato.privacy_card/1"
CARD, PICTURES, PAGE = "privacy_card.json", "privacy_card.safetensors", "privacy_card.html"
_SHOWN = ("records", "releases", "reconstructions")


def save(card: Any, folder: Path, *, pictures: bool) -> Path:
    """Write the pictures, then the JSON that names them."""
    content = content_of(card)
    shown = {name: getattr(card.worst, name) for name in _SHOWN}
    kept = {name: one.contiguous() for name, one in shown.items() if one is not None}
    if pictures and kept:
        with atomic(folder / PICTURES) as part:
            save_file(kept, part)
        content["pictures_sha256"] = sha256(folder / PICTURES)
    write_json(folder / CARD, {**content, "checksum": json_checksum(content)})
    return folder / CARD


def content_of(card: Any) -> dict[str, Any]:
    """The card as JSON values, without the pictures."""
    bare = replace(card, worst=replace(card.worst, **dict.fromkeys(_SHOWN)))
    content = {"schema": SCHEMA, **_plain(asdict(bare)), "verdict": list(card.verdict)}
    for name in _SHOWN:
        del content["worst"][name]
    return content


def load(path: Path) -> dict[str, Any]:
    """The fields of the card at `path`, a folder or the JSON file."""
    file = path / CARD if path.is_dir() else path
    content = read_json(file)
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise StoreError(f"{file} is not a privacy card of schema {SCHEMA}")
    if content.pop("checksum", None) != json_checksum(content):
        raise StoreError(f"{file} was changed after it was saved: its checksum does not match")
    try:
        return _fields(content, file)
    except (KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{file} does not say what a card should: {error!r}") from error


def _fields(content: dict[str, Any], file: Path) -> dict[str, Any]:
    found = content["worst"]
    worst = Worst(
        numbers=tuple(found["numbers"]),
        labels=tuple(found["labels"]),
        leaks=tuple(found["leaks"]),
        attacks=tuple(found["attacks"]),
    )
    if "pictures_sha256" in content and (file.parent / PICTURES).is_file():
        worst = replace(worst, **_pictures(file.parent / PICTURES, content["pictures_sha256"]))
    return {
        **{name: content[name] for name in ("obfuscator", "strongest", "trusted", "data")},
        **{name: content[name] for name in ("config", "config_sha256", "provenance")},
        **{name: tuple(content[name]) for name in ("threat_model", "limits", "releases", "seeds")},
        "leak": Figure(**content["leak"]),
        "attacks": tuple(attack_row(one) for one in content["attacks"]),
        "certificate": tuple(Certified(**one) for one in content["certificate"]),
        "controls": tuple(control_row(one) for one in content["controls"]),
        "checks": tuple(Check(**one) for one in content["checks"]),
        "baselines": baselines(content["baselines"]),
        "information": information(content["information"]),
        "worst": worst,
    }


def _pictures(path: Path, digest: str) -> dict[str, Any]:
    if sha256(path) != digest:
        raise StoreError(f"{path} is truncated or was changed: its checksum does not match")
    try:
        return load_file(path)
    except safetensors.SafetensorError as error:
        raise StoreError(f"{path} is damaged: {error}") from error


def _plain(value: Any) -> Any:
    """Tuples as lists, as they come back from JSON."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (tuple, list)) else value
