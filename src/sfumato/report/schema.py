"""The versioned schema of `results.json`, and the check against it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from sfumato.errors import StoreError

SCHEMA = "sfumato.results/1"


@cache
def schema() -> dict[str, Any]:
    """The JSON schema of `results.json`, as shipped with the package."""
    text = files("sfumato.report").joinpath("results.schema.json").read_text(encoding="utf-8")
    return json.loads(text)


def validate(results: Any, where: str = "results.json") -> None:
    """Check `results` against the schema.

    Args:
        results: What `results.json` holds, or is going to hold.
        where: How the message names the file.

    Raises:
        StoreError: something is missing or of the wrong kind; the message gives the path of the
            offending key, for example `rounds[0].leak.mean`.
    """
    errors = Draft202012Validator(schema()).iter_errors(results)
    worst = best_match(errors)
    if worst is not None:
        raise StoreError(f"{where}: {_explain(worst)}")


def _explain(error: ValidationError) -> str:
    path = list(error.absolute_path)
    if error.validator == "required":
        wanted = error.validator_value
        assert isinstance(wanted, list) and isinstance(error.instance, dict)
        missing = next(key for key in wanted if key not in error.instance)
        return f"{_dotted([*path, missing])} is missing"
    shown = _dotted(path) or "the whole file"
    message = error.message
    if len(message) > 160:  # a whole round printed into one line helps nobody
        message = f"does not fit: it breaks the rule {error.validator}"
    return f"{shown}: {message}"


def _dotted(path: Iterable[str | int]) -> str:
    parts = [f"[{key}]" if isinstance(key, int) else f".{key}" for key in path]
    return "".join(parts).lstrip(".")
