"""What `sfumato audit` leaves beside its card: `results.json` and `report.html`."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from sfumato.files import atomic, write_json
from sfumato.privacy.audits.rows import AttackRow
from sfumato.privacy.audits.store import CARD, PAGE
from sfumato.privacy.card import PrivacyCard
from sfumato.privacy.statistics import Figure
from sfumato.report.obfuscation.schema import schema as results_schema

SCHEMA = "sfumato.audit_results/1"
RESULTS, REPORT = "results.json", "report.html"


def write_results(
    card: PrivacyCard, settings: Mapping[str, Any], broken: Sequence[str], folder: Path
) -> Path:
    """Write `results.json`, and `report.html`, which is the page of the card.

    Args:
        card: with its page in `folder`.
        settings: of the command.
        broken: the bounds that the card breaks, in words.
        folder: of the run.

    Returns:
        The path of `report.html`.

    Raises:
        StoreError: what would be written does not fit the schema.
        OutputError: a file cannot be written.
    """
    content = results_of(card, settings, broken)
    validate_results(content)
    write_json(folder / RESULTS, content)
    return _page(folder)


def write_page(folder: str | Path) -> Path:
    """Make the page of an audit's card anew, and return the path of `report.html`.

    Raises:
        StoreError: the card is damaged.
        OutputError: a file cannot be written.
    """
    from sfumato.report import write_card

    write_card(PrivacyCard.load(folder), folder)
    return _page(Path(folder))


def _page(folder: Path) -> Path:
    with atomic(folder / REPORT) as part:
        shutil.copyfile(folder / PAGE, part)
    return folder / REPORT


def results_of(
    card: PrivacyCard, settings: Mapping[str, Any], broken: Sequence[str]
) -> dict[str, Any]:
    """The card's figures in the frame that the results of every command have.

    In `data`, `train` counts the attacker's records and `test` the attacked ones.
    """
    return {
        "schema": SCHEMA,
        "command": "audit",
        "data": {**card.data, "train": card.data["auxiliary"], "test": card.data["target"]},
        "seeds": list(card.seeds),
        "config": dict(settings),
        "provenance": dict(card.provenance),
        "verdict": list(card.verdict),
        "leak": _figure(card.leak),
        "strongest": card.strongest,
        "trusted": card.trusted,
        "complete": card.complete,
        "broken_bounds": list(broken),
        "releases": list(card.releases),
        "attacks": [_attack(row) for row in card.attacks],
        "certificate": [{**vars(one)} for one in card.certificate],
        "obfuscator": card.obfuscator,
        "card": CARD,
    }


def validate_results(content: Any, where: str = RESULTS) -> None:
    """Check what the `results.json` of an audit holds.

    Raises:
        StoreError: something is missing or of the wrong kind.
    """
    from sfumato.report.common.frame import check

    check(content, audit_schema(), where)


@cache
def audit_schema() -> dict[str, Any]:
    """The JSON schema of the results of every command, with what an audit adds."""
    made = copy.deepcopy(results_schema())
    del made["allOf"]  # what other commands must have
    made["$id"], made["title"] = SCHEMA, "What sfumato audit found"
    interval = copy.deepcopy(made["$defs"]["figure"])
    interval["required"] += ["low", "high"]
    interval["properties"] |= {"low": {"type": "number"}, "high": {"type": "number"}}
    made["$defs"] |= {"interval": interval, "attack": _ATTACK, "certificate": _CERTIFICATE}
    made["properties"] |= {"schema": {"const": SCHEMA}, "command": {"const": "audit"}, **_ADDED}
    made["required"] += ["seeds", "verdict", "leak", *_ADDED]
    return made


_WORDS = {"type": "array", "items": {"type": "string", "minLength": 1}}
_ADDED: dict[str, Any] = {
    "strongest": {"type": "string", "minLength": 1},
    "trusted": {"type": "boolean"},
    "complete": {"type": "boolean"},
    "broken_bounds": _WORDS,
    "releases": {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1},
    "attacks": {"type": "array", "items": {"$ref": "#/$defs/attack"}, "minItems": 1},
    "certificate": {"type": "array", "items": {"$ref": "#/$defs/certificate"}},
    "obfuscator": {"type": "string", "minLength": 1},
    "card": {"const": CARD},
}
_ATTACK: dict[str, Any] = {
    "description": "One attack at one K: its headline figure, or why it was not run.",
    "type": "object",
    "required": ["name", "releases", "place"],
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "releases": {"type": "integer", "minimum": 1},
        "place": {"enum": ["fresh", "stored", "served"]},
        "figure": {"type": "string", "minLength": 1},
        "found": {"$ref": "#/$defs/interval"},
        "chance": {"type": "number"},
        "not_run": {"type": "string", "minLength": 1},
    },
    "oneOf": [{"required": ["figure", "found", "chance"]}, {"required": ["not_run"]}],
    "additionalProperties": False,
}
_CERTIFICATE: dict[str, Any] = {
    "type": "object",
    "required": ["releases", "certified", "epsilon", "delta", "words"],
    "properties": {
        "releases": {"type": "integer", "minimum": 1},
        "certified": {"type": "boolean"},
        "epsilon": {"type": ["number", "null"]},
        "delta": {"type": "number"},
        "words": {"type": "string", "minLength": 1},
    },
    "additionalProperties": False,
}


def _attack(row: AttackRow) -> dict[str, Any]:
    place = "stored" if row.stored else "served" if row.served else "fresh"
    frame = {"name": row.name, "releases": row.releases, "place": place}
    if row.skipped:
        return {**frame, "not_run": row.skipped}
    return {**frame, "figure": row.headline, "found": {**vars(row.score)}, "chance": row.chance}


def _figure(figure: Figure) -> dict[str, Any]:
    """As the results of other commands have it."""
    return {"mean": figure.mean, "std": figure.std, "n": figure.n}
