"""The threat model of an audit in plain words: who sees what."""

from __future__ import annotations

from sfumato.privacy.audits.material import Material
from sfumato.privacy.audits.plan import AuditPlan

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


def threat_model(plan: AuditPlan, material: Material, model: bool) -> tuple[str, ...]:
    """The sentences of the threat model."""
    counts = ", ".join(str(count) for count in plan.releases)
    sentences = [
        KNOWS,
        PARTIES,
        f"The attacker has {len(material.auxiliary)} records of their own and attacks "
        f"{len(material.target)} others. {material.split}",
        f"Releases of each record in the attacker's hands: {counts}. Several are averaged, which "
        "is the best use of them where the noise is Gaussian and its scale does not depend on the "
        "record.",
        "The attacker has the trained model too."
        if model
        else "No trained model was given: attacks on it were not run.",
    ]
    if material.stored is not None:
        sentences.append(
            "Beside fresh releases, the stored release of every attacked record was attacked as "
            "it lies in the released set."
        )
    return (*sentences, NOT_PROTECTED, LOWER)
