"""What is said about a layer or a key before a model is changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

Severity = Literal["error", "note"]


@final
@dataclass(frozen=True, repr=False)
class Finding:
    """One line of what `sfumato.check` has to say.

    Args:
        severity: `"error"`: the model cannot be changed so; `"note"`: it can, and this is what
            comes with it.
        name: the layer's qualified name in the model, `""` for the model itself; or the key.
        layer: the class of the layer; `""` where the finding is about a key.
        reason: why, as the predicate of the layer or the key.
        remedy: what to do.
    """

    severity: Severity
    name: str
    layer: str
    reason: str
    remedy: str

    def __repr__(self) -> str:
        """The finding as one line."""
        subject = f"key {self.name!r}"
        if self.layer:
            subject = f"{self.name or 'the model itself'} ({self.layer})"
        return f"{self.severity}: {subject} {self.reason}" + (
            f": {self.remedy}" * bool(self.remedy)
        )


def about(severity: Severity, name: str, layer: object, reason: str, remedy: str = "") -> Finding:
    """A finding about a layer."""
    return Finding(severity, name, type(layer).__name__, reason, remedy)


def about_key(severity: Severity, key: str, reason: str, remedy: str = "") -> Finding:
    """A finding about a key."""
    return Finding(severity, key, "", reason, remedy)
