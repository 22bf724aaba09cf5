"""Whether an obfuscator on disk was audited as it is."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from sfumato.errors import StoreError, UnauditedWarning
from sfumato.obfuscation.fingerprint import fingerprint
from sfumato.privacy.audits.store import CARD
from sfumato.privacy.card import PrivacyCard

if TYPE_CHECKING:
    from sfumato.obfuscation.obfuscator import Obfuscator


def warn_unless_audited(folder: Path, obfuscator: Obfuscator) -> None:
    """Warn unless the folder holds a card of this very obfuscator, whole, unchanged and trusted.

    Args:
        folder: of the obfuscator; `sfumato audit` writes the card into it.
        obfuscator: that was loaded.
    """
    found = _objection(folder / CARD, obfuscator)
    if not found:
        return
    warnings.warn(
        f"the obfuscator in {folder} {found}. What it leaks is not known: run `sfumato audit`, or "
        "sf.audit(obfuscator, data), and keep its privacy card in that folder",
        UnauditedWarning,
        stacklevel=3,
    )


def _objection(path: Path, obfuscator: Obfuscator) -> str:
    """Why the card at `path` says nothing of the obfuscator; empty where it does."""
    if not path.exists():
        return "was saved without an audit"
    try:
        card = PrivacyCard.load(path)
    except StoreError as error:
        return f"has a privacy card that is damaged or was changed ({error})"
    if card.obfuscator != obfuscator.digest():
        return "was changed after its audit: the privacy card beside it is of another one"
    if card.trusted is not True:
        return "has a privacy card that is not to be trusted: its attacks were not shown to work"
    unclear = fingerprint(obfuscator).unclear
    if unclear:
        return (
            f"holds what a privacy card cannot tell from something else ({', '.join(unclear[:3])}):"
            " the one beside it may be of another"
        )
    return ""
