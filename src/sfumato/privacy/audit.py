"""The audit: every attack on an obfuscator, with controls, as a privacy card."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from torch import nn

from sfumato.privacy.attacks.base import Attack
from sfumato.privacy.audits.job import Audit
from sfumato.privacy.audits.material import (
    Data,
    check_releases,
    digest_of,
    gather_material,
    own_digest,
)
from sfumato.privacy.audits.plan import AuditPlan, Budget, release_counts, seed_numbers
from sfumato.privacy.audits.run import run_audit
from sfumato.privacy.audits.suite import entries
from sfumato.privacy.card import PrivacyCard
from sfumato.privacy.knowledge import Mechanism
from sfumato.train.loop import Progress, silent


def audit(
    obfuscator: Mechanism,
    data: Data,
    *,
    model: nn.Module | None = None,
    releases: Sequence[int] | int = (1, 10, 100),
    seeds: Sequence[int] | int = (0, 1, 2),
    attacks: Sequence[Attack] | None = None,
    more: Sequence[Attack] = (),
    control: bool = True,
    released: str | Path | None = None,
    budget: Budget = "full",
    delta: float = 1e-5,
    attacked: int | None = None,
    folder: str | Path | None = None,
    workers: int = 1,
    progress: Progress = silent,
) -> PrivacyCard:
    """Attack an obfuscator with everything but the draw, and say what was found.

    Every attack runs at every K with every seed, and once on isotropic noise of known strength:
    where nothing is hidden it must succeed, where nothing is left it must fail, and in between
    the strongest must reach the closed form of the best linear one. What only some attacks find
    (a law that is not linear, labels, scales) is planted for them. One batch is released 64 times
    and held against the law that the obfuscator states. If any of this fails, the card says that
    the audit is not to be trusted. Records served without a label, under a learned selection, are
    attacked as well.

    Args:
        obfuscator: what makes releases: an `sf.Obfuscator`, or anything with `release(x, labels)`
            and `distribution(x, labels)`.
        data: a pair (auxiliary, target) of data sets, the attacker's and the attacked; or one data
            set, half of whose records at most are attacked. Items are a tensor and a label.
        model: the trained network that the releases feed, for attacks on it and to judge
            reconstructions; without it a small network is trained to judge.
        releases: K, how many releases of each record the attacker holds; one number, or several.
        seeds: every attack is repeated for each; a number n is 0, 1, ..., n - 1.
        attacks: instead of the package's; each is run at every K.
        more: beside these, a `MembershipAttack` for example.
        control: run the controls; without them the card is not to be trusted.
        released: folder of a stored release of the data (of the target, where a pair is given):
            the stored set is attacked as well. Where only some records were released, the file
            chosen.json beside it says which, and these are attacked.
        budget: what an attack may spend: "quick", "full" or `DecoderSettings`.
        delta: of the certificate.
        attacked: attack at most so many records; by default 500 where the budget is quick, else
            2,000.
        folder: keep what is finished here; the same call resumes. Nothing is kept without it.
        workers: parallel processes, one thread each.
        progress: called as each attack is done.

    Raises:
        DataError: too few records, one class, NaN in records or releases.
        SettingError: a setting outside of what it may be, or a folder with another audit.
        StoreError: the stored set is not there, was changed, or is of other records.

    Example:
        >>> import sfumato as sf
        >>> from sfumato.privacy.attacks import LinearAttack
        >>> noise = sf.obfuscation.isotropic((1, 8, 8), sigma=0.5)
        >>> card = sf.audit(
        ...     noise, sf.data.digits(), attacks=[LinearAttack()], releases=[1], seeds=[0]
        ... )
        >>> card.trusted, card.leak.mean > 0.2
        (True, True)
    """
    plan = AuditPlan(
        release_counts(releases), seed_numbers(seeds), control, budget, delta, attacked
    )
    suite = entries(attacks, plan, more)
    material = gather_material(data, plan.targets, released, own_digest(obfuscator))
    digest = digest_of(obfuscator, material)
    if getattr(obfuscator, "secure", False):  # an attacker may seed the draws of their own copy
        obfuscator = cast(Any, obfuscator).rehearsal()
    check_releases(obfuscator, material)
    job = Audit(obfuscator, material, model, plan, suite, digest, attacks is None)
    if folder is not None:
        return run_audit(job, Path(folder), workers, progress)
    with tempfile.TemporaryDirectory(prefix="sfumato-audit-") as scratch:
        return run_audit(job, Path(scratch), workers, progress)
