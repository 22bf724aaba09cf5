"""The words of a card's page."""

from __future__ import annotations

from sfumato.privacy.card import PrivacyCard
from sfumato.report.common.numerals import grouped
from sfumato.report.common.wording import LEAK

GLOSSARY = (
    ("leak", LEAK),
    ("best-per-record", "For every record the attack that does best on it. No attacker knows "
     "beforehand which that is, so this is an upper end of what these attacks together can do."),
    ("over half", "The share of the records of which an attacker gets back more than half."),
    ("95th percentile", "Of the leaks of the single records: one record in twenty leaks more."),
    ("accuracy", "How often a classifier says the right label from the reconstruction. The "
     "attacker knows the label, so compare with the class mean, not with chance."),
    ("linkage", "Given a release and a gallery of clean records, which of them is it?"),
    ("chance", "The same figure for an attacker without any release."),
    ("controls", "The same attack where the answer is known: where nothing is hidden or something "
     "was planted it must succeed, where nothing is left it must fail. An audit whose controls "
     "fail proves nothing."),
    ("served", "A record whose label is unknown, passed on under the learned selection. The "
     "attacker is given its label."),
    ("certificate", "A proof for any attacker, these and others: (ε, δ) local differential "
     "privacy of the releases. Everything else on this page is what these attacks found."),
    ("mean, low…high", "Mean over the seeds and its 95 % confidence interval, over records and "
     "seeds."),
)  # fmt: skip


def facts(card: PrivacyCard) -> list[str]:
    """The audit in short phrases."""
    shape = " × ".join(str(size) for size in card.data["shape"])
    count = len(card.seeds)
    lines = [
        f"{grouped(card.data['target'])} records of {shape} attacked",
        f"{grouped(card.data['auxiliary'])} in the attacker's hands",
        f"{count} seed{'s' if count > 1 else ''}",
        f"K = {', '.join(str(k) for k in card.releases)}",
    ]
    date = card.provenance.get("date")
    return [*lines, str(date)[:16].replace("T", " ")] if date else lines
