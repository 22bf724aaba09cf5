"""Whether an obfuscator on disk was audited as it is."""

from __future__ import annotations

import warnings
from pathlib import Path

from sfumato.errors import StoreError, UnauditedWarning
from sfumato.files import read_json

CARD = "privacy_card.json"


def warn_unless_audited(folder: Path, digest: str) -> None:
    """Warn where the folder holds no privacy card, or the card of another obfuscator.

    Args:
        folder: of the obfuscator; `sfumato audit` writes the card into it.
        digest: of the obfuscator that was loaded.
    """
    if not (folder / CARD).exists():
        found = "was saved without an audit"
    elif _audited(folder / CARD) != digest:
        found = "was changed after its audit: the privacy card beside it is of another one"
    else:
        return
    warnings.warn(
        f"the obfuscator in {folder} {found}. What it leaks is not known: run `sfumato audit`, or "
        "sf.audit(obfuscator, data), and keep its privacy card in that folder",
        UnauditedWarning,
        stacklevel=3,
    )


def _audited(card: Path) -> str | None:
    """The digest that the card is about; None where the card cannot be read."""
    try:
        content = read_json(card)
    except StoreError:
        return None
    digest = content.get("obfuscator") if isinstance(content, dict) else None
    return digest if isinstance(digest, str) else None
