"""One cell of an audit: one attack on one scene, measured and written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, final

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from sfumato.errors import DataError, SfumatoError, StoreError
from sfumato.files import atomic, prepare_folder, read_json, sha256
from sfumato.privacy.attacks.base import Attack, Outcome
from sfumato.privacy.attacks.membership import MembershipAttack
from sfumato.privacy.attacks.scene import Scene
from sfumato.privacy.audits.material import Material
from sfumato.privacy.audits.measured import Found, worth
from sfumato.privacy.audits.planted import AS_THEY_ARE, Planted, planted
from sfumato.privacy.control import Kind
from sfumato.privacy.knowledge import Mechanism, Served
from sfumato.privacy.statistics import share_error

SHARES = frozenset({"top1", "accuracy", "constant_image", "released"})
"""Headlines that are shares of the attacked records."""

Place: TypeAlias = Literal["fresh", "stored", "served"]
"""What is attacked: fresh releases, the stored set, or records served without their label."""

WORST = 16
"""How many of the records that leak most are shown."""


@final
@dataclass(frozen=True)
class Task:
    """What every cell of an audit shares.

    Args:
        mechanism: the audited one.
        material: the records.
        model: what the releases feed, or None.
        judge: a classifier of clean records, for the accuracy on reconstructions; or None.
        folder: where the cells' tensors lie.
        key: checksum of what is audited and how; a cell of another is computed again.
    """

    mechanism: Mechanism
    material: Material
    model: nn.Module | None
    judge: nn.Module | None
    folder: Path
    key: str = ""

    def scene(self, releases: int, seed: int, place: Place = "fresh") -> Scene:
        """The scene of one cell: fresh releases, served records, or the stored set."""
        known, target = self.material.auxiliary, self.material.target
        mechanism = Served(self.mechanism) if place == "served" else self.mechanism
        if place != "stored":
            return Scene.of(
                mechanism, known, target, releases=releases, model=self.model, seed=seed
            )
        assert self.material.stored is not None
        return Scene(mechanism, known, target, self.material.stored, 1, self.model, seed)

    def control(self, planted: Planted, releases: int, seed: int) -> Scene:
        """The scene of a control."""
        return Scene.of(
            planted.mechanism,
            planted.auxiliary,
            planted.target,
            releases=releases,
            model=self.model,
            seed=seed,
        )


def run_attack(
    task: Task,
    attack: Attack,
    name: str,
    releases: int,
    seed: int,
    place: Place = "fresh",
    control: tuple[Kind, float] | None = None,
) -> dict[str, Any]:
    """Run `attack` on a scene, measure what it found, and write its tensors beside the cell.

    `control` is the kind of a control and the scale of its noise; it takes the place of what is
    audited. An attack that says by a `SfumatoError` that the scene lacks what it needs is left out,
    with its reason.

    Raises:
        DataError: releases are not finite, or the attack's figures are not.
    """
    sigma = None if control is None else control[1]
    if control is None:
        scene = task.scene(releases, seed, place)
    else:
        scene = task.control(planted(*control, task.material), releases, seed)
    if not bool(torch.isfinite(scene.seen).all()):
        raise DataError("a release holds NaN or infinity: fit the obfuscator again")
    frame = {"key": task.key, "attack": attack.name, "releases": releases, "seed": seed}
    frame |= {"sigma": sigma, "place": place if control is None else "control"}
    try:
        outcome = attack.run(scene)
    except SfumatoError as error:
        return {**frame, "skipped": " ".join(str(error).split())}
    figures = _figures(outcome, _count(attack, scene))
    headline, chance = outcome.headline, outcome.chance
    if outcome.reconstructions is not None:
        guess = outcome.reconstructions.detach()
        judge = task.judge if control is None or control[0] in AS_THEY_ARE else None
        found = worth(scene, guess, judge)
        figures |= found.figures
        headline, chance = ("leak", 0.0)
        frame["tensors_sha256"] = _save(
            task.folder / f"{name}.safetensors", scene.seen, guess, found
        )
    return {
        **frame,
        "headline": headline,
        "chance": chance,
        "figures": figures,
        "notes": list(outcome.notes),
        "reconstructs": outcome.reconstructions is not None,
    }


def is_whole(folder: Path, name: str, key: str) -> bool:
    """Whether a cell is there, of this audit, with its tensors as they were written."""
    try:
        content = read_json(folder / f"{name}.json")
    except StoreError:
        return False
    if not isinstance(content, dict) or content.get("key") != key:
        return False
    if not content.get("reconstructs"):
        return True
    file = folder / f"{name}.safetensors"
    return file.is_file() and sha256(file) == content.get("tensors_sha256")


def _count(attack: Attack, scene: Scene) -> int:
    """How many records the attack's headline is a share of."""
    if isinstance(attack, MembershipAttack):  # half of them teach it
        return min(len(attack.released), len(attack.others)) // 2
    return len(scene.target)


def _figures(outcome: Outcome, records: int) -> dict[str, Found]:
    """The attack's own figures, with the standard error of those that are shares of records."""
    figures: dict[str, Found] = {}
    for name, value in _checked(outcome.figures).items():
        share = name == outcome.headline and name in SHARES
        figures[name] = (value, share_error(value, records) if share else None, share)
    return figures


def _checked(figures: Mapping[str, float]) -> dict[str, float]:
    found = {name: float(value) for name, value in figures.items()}
    bad = [name for name, value in found.items() if not torch.isfinite(torch.tensor(value))]
    if bad:
        raise DataError(f"an attack reports figures that are not finite: {', '.join(bad)}")
    return found


def _save(path: Path, seen: Tensor, guess: Tensor, found: Any) -> str:
    """The leaks of all records, and the pictures of those that leak most under this attack.

    Returns the file's checksum.

    A record among the worst over all attacks is among the worst of the attack that it leaks most
    under, so that each cell needs to keep only its own.
    """
    prepare_folder(path.parent)
    worst = found.leaks.argsort(descending=True)[:WORST]
    tensors = {
        "leaks": found.leaks.float(),
        "errors": found.errors.float(),
        "worst": worst,
        "releases": seen[worst].float(),
        "reconstructions": guess[worst].float(),
    }
    with atomic(path) as part:
        save_file({name: one.detach().contiguous() for name, one in tensors.items()}, part)
    return sha256(path)
