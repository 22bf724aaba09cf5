"""The threat model of an audit in plain words: who sees what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sfumato.privacy.audits.collect import BEST
from sfumato.privacy.audits.job import Audit
from sfumato.privacy.audits.rows import AttackRow
from sfumato.privacy.control import Control

KNOWS = (
    "The attacker knows everything but the draw: the obfuscator with all its parameters, the law "
    "of the noise, the label of every record, and records of the same distribution."
)
PARTIES = (
    "The holder of the records sees them in clear, draws the noise, and hands on releases and "
    "labels. The compute sees releases and labels, and the clean part where there is one. Whoever "
    "has the obfuscator's file has its parameters."
)
NOT_PROTECTED = (
    "Not protected: labels; the clean part; the obfuscator's own parameters, which were fitted to "
    "clean records; what repeated releases add up to; outputs of the model, and who was in its "
    "training set."
)
LOWER = (
    "Every figure but the certificate is what these attacks found with their budget. A stronger "
    "attacker may find more; none of the figures is a guarantee."
)


def threat_model(job: Audit, serves: bool) -> tuple[str, ...]:
    """The sentences of the threat model."""
    plan, material = job.plan, job.material
    counts = ", ".join(str(count) for count in plan.releases)
    sentences = [
        KNOWS,
        PARTIES,
        f"The attacker has {len(material.auxiliary)} records of their own and attacks "
        f"{len(material.target)} others. {material.split}",
        f"Releases of each record in the attacker's hands: {counts}. Several are averaged; where "
        "their scale depends on the record or their law is not Gaussian, how they scatter is "
        "looked at too.",
        "The attacker has the trained model too."
        if job.model is not None
        else "No trained model was given: attacks on it were not run.",
        _serving(job.mechanism, serves),
    ]
    if material.stored is not None:
        sentences.append(
            "Beside fresh releases, the stored release of every attacked record was attacked as "
            "it lies in the released set."
        )
    return (*sentences, NOT_PROTECTED, LOWER)


def _serving(mechanism: Any, serves: bool) -> str:
    """What becomes of records whose label is unknown."""
    if serves:
        return (
            "Records served without a label, under the learned selection, were attacked as well; "
            "the attacker is given their label there too."
        )
    if getattr(mechanism, "num_classes", None) is not None:
        return "Nothing is served without a label: there is no learned selection."
    return (
        "Noise does not depend on the label: what is served without one is what is released."
        if hasattr(mechanism, "num_classes")
        else "Only releases under their labels were attacked."
    )


def limits(job: Audit, rows: Sequence[AttackRow], controls: Sequence[Control]) -> tuple[str, ...]:
    """What keeps this audit from being a whole one, in words."""
    ran = list(dict.fromkeys(row.name for row in rows if not row.skipped and row.name != BEST))
    lines = []
    if not job.bracket:
        lines.append(f"Only these attacks were run: {', '.join(ran)}.")
    if job.plan.reduced:
        name = " (quick)" if job.plan.quick else ""
        lines.append(
            f"The attackers had a small budget{name}: with the full one they may find more."
        )
    skipped = {row.name: row.skipped for row in rows if row.skipped}
    lines += [f"Not run: {name}: {reason}." for name, reason in skipped.items()]
    held = {control.attack for control in controls}
    bare = [name for name in ran if name not in held and controls]
    if bare:
        lines.append(f"No control fits: {', '.join(bare)}.")
    return tuple(lines)
