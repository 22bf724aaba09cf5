"""`sfumato audit`: what an obfuscator leaks, as a privacy card."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from sfumato.cli.common.command import Command
from sfumato.cli.common.folder import RunFolder


@final
@dataclass(frozen=True)
class AuditOptions:
    """Attack an obfuscator with everything but the draw, and write its privacy card.

    The card is OUT/privacy_card.json, with a page beside it, which is OUT/report.html too;
    OUT/results.json has its figures. With bounds it can stand in a
    pipeline: it exits with 1 where one is broken, and with 2 where it cannot be run. An
    interrupted audit goes on where it stopped.
    """

    obfuscator: str
    """Folder that `sfumato fit` wrote (the run, or its folder obfuscator)."""
    data: str = "digits"
    """A built-in name (digits), a folder in hub layout, or a hub id."""
    out: str | None = None
    """Folder of the run; an interrupted run in it goes on. By default runs/audit-TIME."""
    released: str | None = None
    """A folder that `sfumato release` wrote, of the data's split "train" or of the one that it
    names: attack the stored set too. Where only some records were released, these are attacked."""
    max_leak: float | None = None
    """Exit with 1 unless the leak of every attack stays at or below this, its confidence interval
    included: of fresh, stored and served releases. The row best-per-record is no attack, and does
    not count."""
    max_leak_95: float | None = None
    """The same for the 95th percentile of the records' own leaks."""
    max_linkage: float | None = None
    """The same for the share of releases whose record is found in a gallery."""
    max_epsilon: float | None = None
    """The same for the certificate's ε; without a certificate the bound is broken."""
    releases: tuple[int, ...] = (1, 10, 100)
    """How many releases of each record the attacker holds."""
    seeds: int = 3
    """Repeat every attack with so many seeds: 0, 1, 2, ..."""
    quick: bool = False
    """Small budgets: minutes on a laptop, and weaker attackers."""
    model: str | None = None
    """module:factory of the model that the releases feed, with --weights: it is attacked too."""
    weights: str | None = None
    """Trained weights of the model, a safetensors file."""
    clean: str | None = None
    """With --released and --weights: the clean records that the model was trained on as well
    (their split "train"). Who was in its training set is then inferred for both parts, against
    the data's test records."""
    delta: float = 1e-5
    """δ of the certificate."""
    attacked: int | None = None
    """Attack at most so many records; by default 2000, or 500 with --quick."""
    limit: int | None = None
    """Take at most so many records for training, and as many for testing."""
    workers: int = 1
    """Parallel processes; 0 is one per core."""
    sign: bool = True
    """Put a trusted card of a whole audit into the obfuscator's folder, so that it no longer loads
    as unaudited."""
    sign_partial: bool = False
    """Put it there after a quick audit or one of few attacks, too."""


def run(options: AuditOptions, folder: RunFolder | None) -> list[str]:
    """Audit, and write the card."""
    from sfumato.cli.audit.run import audit_obfuscator

    assert folder is not None
    return audit_obfuscator(options, folder)


COMMAND = Command(
    name="audit",
    summary="attack an obfuscator and write its privacy card",
    options=AuditOptions,
    run=run,
    examples=(
        "sfumato audit runs/fit --data path/to/mnist --max_leak 0.1",
        "sfumato audit runs/fit --data path/to/mnist --released runs/release --releases 1 10",
        "sfumato audit runs/fit --quick --seeds 1 --releases 1",
    ),
    positional="obfuscator",
)
