"""The versioned schema of `results.json`, and the check against it."""

from __future__ import annotations

from typing import Any

from sfumato.report.common.frame import check, schema_of

SCHEMA = "sfumato.results/1"


def schema() -> dict[str, Any]:
    """The JSON schema of `results.json`, as shipped with the package."""
    return schema_of("obfuscation")


def validate(results: Any, where: str = "results.json") -> None:
    """Check `results` against the schema.

    Args:
        results: What `results.json` holds, or is going to hold.
        where: How the message names the file.

    Raises:
        StoreError: something is missing or of the wrong kind; the message gives the path of the
            offending key, for example `rounds[0].leak.mean`.
    """
    check(results, schema(), where)
