"""From the cells of an audit to the rows of its card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from sfumato.errors import StoreError
from sfumato.privacy.attacks.scene import Scene
from sfumato.privacy.audits.cell import WORST, Place
from sfumato.privacy.audits.material import Material
from sfumato.privacy.audits.measured import Found, class_means, total_leak
from sfumato.privacy.audits.rows import AttackRow, Worst
from sfumato.privacy.measures import HALF
from sfumato.privacy.similarity import squared_error
from sfumato.privacy.statistics import Figure, leak_error

BEST = "best-per-record"
_BEST_NOTE = (
    "for every record the attack that does best on it, which no attacker knows beforehand: an "
    "upper end of what these attacks together can do"
)


@final
@dataclass(frozen=True)
class Result:
    """One cell's result: its content, and the file of its tensors."""

    content: dict[str, Any]
    file: Path

    def tensors(self) -> dict[str, Tensor]:
        """What the cell wrote beside its figures.

        Raises:
            StoreError: the file is missing or damaged.
        """
        try:
            return load_file(self.file)
        except (OSError, SafetensorError) as error:
            raise StoreError(f"{self.file} is missing or damaged: audit again ({error})") from error


def rows_of(results: Sequence[Result], scene: Scene, place: Place) -> list[AttackRow]:
    """All rows of the cells that attacked one place."""
    own = [result for result in results if result.content.get("place") == place]
    return attack_rows(own, place) + best_rows(own, scene, place)


def attack_rows(results: Sequence[Result], place: Place) -> list[AttackRow]:
    """One row for each attack and K, over the seeds; in the order of the results."""
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for result in results:
        key = result.content["attack"], result.content["releases"]
        groups.setdefault(key, []).append(result.content)
    return [_row(name, releases, cells, place) for (name, releases), cells in groups.items()]


def best_rows(results: Sequence[Result], scene: Scene, place: Place) -> list[AttackRow]:
    """For each K, the attack that does best on each record; none where one attack reconstructs."""
    target = scene.target
    base = squared_error(class_means(scene)[target.labels], target.inputs)
    by_place: dict[tuple[int, int], list[Tensor]] = {}
    for result in results:
        if result.content.get("reconstructs"):
            key = result.content["releases"], result.content["seed"]
            by_place.setdefault(key, []).append(result.tensors()["errors"].double())
    rows = []
    for count in dict.fromkeys(releases for releases, _ in by_place):
        groups = [errors for (releases, _), errors in by_place.items() if releases == count]
        if min(len(errors) for errors in groups) > 1:
            rows.append(_best(groups, base, count, place))
    return rows


def worst_records(results: Sequence[Result], material: Material) -> Worst:
    """The records that leak most under any attack and seed, with what the attacker made of them."""
    found: dict[int, tuple[float, str, Tensor, Tensor]] = {}
    for result in results:
        tensors = result.tensors()
        for place, number in enumerate(tensors["worst"].tolist()):
            leak = float(tensors["leaks"][number])
            if number not in found or leak > found[number][0]:
                shown = tensors["releases"][place], tensors["reconstructions"][place]
                found[number] = (leak, result.content["attack"], *shown)
    listed = sorted(found, key=lambda number: -found[number][0])[:WORST]
    if not listed:
        return Worst()
    return Worst(
        numbers=tuple(int(material.numbers[n]) for n in listed),
        labels=tuple(int(material.target.labels[n]) for n in listed),
        leaks=tuple(found[n][0] for n in listed),
        attacks=tuple(found[n][1] for n in listed),
        records=material.target.inputs[listed],
        releases=torch.stack([found[n][2] for n in listed]),
        reconstructions=torch.stack([found[n][3] for n in listed]),
    )


def _row(name: str, releases: int, cells: Sequence[dict[str, Any]], place: Place) -> AttackRow:
    stored, served = place == "stored", place == "served"
    ran = [cell for cell in cells if "skipped" not in cell]
    if len(ran) < len(cells):
        reason = next(cell["skipped"] for cell in cells if "skipped" in cell)
        return AttackRow(name, releases, stored, skipped=reason, served=served)
    names = [key for key in ran[0]["figures"] if all(key in cell["figures"] for cell in ran)]
    return AttackRow(
        name,
        releases,
        stored,
        headline=ran[0]["headline"],
        chance=sum(cell["chance"] for cell in ran) / len(ran),
        figures={key: figure_of([cell["figures"][key] for cell in ran]) for key in names},
        notes=tuple(dict.fromkeys(note for cell in ran for note in cell["notes"])),
        reconstructs=ran[0]["reconstructs"],
        served=served,
    )


def figure_of(found: Sequence[Found]) -> Figure:
    """The figure of (value, standard error, whether it is a share) of each seed."""
    errors = [error for _, error, _ in found if error is not None]
    share = all(share for _, _, share in found)
    known = errors if len(errors) == len(found) else None
    return Figure.of([value for value, _, _ in found], known, share=share)


def _best(groups: Sequence[list[Tensor]], base: Tensor, count: int, place: Place) -> AttackRow:
    least = [torch.stack(errors).min(0).values for errors in groups]
    leaks = [1 - errors / base.clamp(min=1e-12) for errors in least]
    found: list[Found] = [
        (total_leak(errors, base), leak_error(errors, base), False) for errors in least
    ]
    over = [float((one > HALF).double().mean()) for one in leaks]
    figures = {
        "leak": figure_of(found),
        "leak_95": Figure.of([float(one.quantile(0.95)) for one in leaks]),
        "over_half": Figure.of(over, share=True),
    }
    return AttackRow(
        BEST,
        count,
        place == "stored",
        "leak",
        0.0,
        figures,
        notes=(_BEST_NOTE,),
        served=place == "served",
    )
