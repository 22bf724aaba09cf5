"""Everything that an audit is asked for, except the folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from torch import nn

from sfumato.privacy.audits.identity import checksum, versions
from sfumato.privacy.audits.material import Material
from sfumato.privacy.audits.plan import AuditPlan
from sfumato.privacy.audits.suite import Entry, described
from sfumato.privacy.knowledge import Mechanism


@final
@dataclass(frozen=True)
class Audit:
    """Everything that is asked for, except the folder.

    Args:
        mechanism: the audited one.
        material: the records.
        model: what the releases feed, or None.
        plan: the settings.
        suite: the attacks.
        digest: of the mechanism.
        bracket: whether mutual information is bracketed too.
    """

    mechanism: Mechanism
    material: Material
    model: nn.Module | None
    plan: AuditPlan
    suite: tuple[Entry, ...]
    digest: str
    bracket: bool

    def config(self) -> dict[str, Any]:
        """The settings, as JSON values; of what is not one, the checksum of its content."""
        stored = self.material.stored
        return {
            **self.plan.to_json(),
            "attacks": [described(entry.attack) for entry in self.suite],
            "model": None if self.model is None else checksum(self.model),
            "stored": None if stored is None else checksum(stored),
            "information": self.bracket,
            "complete": self.bracket and not self.plan.reduced,
            "versions": versions(),
        }
