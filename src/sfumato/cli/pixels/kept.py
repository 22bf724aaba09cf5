"""What a run keeps of a selector and its predictor, and how another command finds it again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from torch import nn

from sfumato.cli.pixels.contenders import PREDICTORS, predictor_factory
from sfumato.errors import SettingError, StoreError
from sfumato.files import prepare_folder, read_json, write_json
from sfumato.pixels.predictors.store import load_predictor, save_predictor
from sfumato.pixels.selectors import Selector, load_selector, save_selector
from sfumato.pixels.tasks import Task

RUN, ENTRY = "trained.json", "kept.json"
SCHEMA = "sfumato.pixels-trained/1"


@final
@dataclass(frozen=True, eq=False)
class Kept:
    """A selector with the predictor that was trained for it.

    Attributes:
        name: how the command line calls the selector.
        selector: trained.
        predictor: trained.
        task: what is predicted.
        k: pixels per picture.
        weight: λ, where there was a price in place of a budget.
        rounds: in how many rounds, or of which shares, they are bought.
        made_by: how the command line calls the predictor.
    """

    name: str
    selector: Selector
    predictor: nn.Module
    task: Task
    k: int
    weight: float | None
    rounds: int | tuple[float, ...]
    made_by: str


def keep(kept: Kept, folder: Path) -> None:
    """Write one selector and its predictor; the entry comes last and says that all is there."""
    prepare_folder(folder)
    save_selector(kept.selector, folder / "selector")
    save_predictor(
        kept.predictor, kept.selector.channels, kept.task, folder / "predictor.safetensors"
    )
    rounds = kept.rounds if isinstance(kept.rounds, int) else list(kept.rounds)
    entry = {"name": kept.name, "k": kept.k, "weight": kept.weight, "rounds": rounds}
    write_json(folder / ENTRY, {"schema": SCHEMA, **entry, "predictor": kept.made_by})


def is_kept(folder: Path) -> bool:
    """Whether a selector lies here."""
    return (folder / ENTRY).is_file()


def note_run(out: Path, selector: str, cells: dict[str, dict[str, Any]]) -> None:
    """Write which selectors a run has, and which one it was about.

    Args:
        out: the folder of the run.
        selector: the one that is used where nothing else is said.
        cells: by name, each with selector and seed; the first of a selector is the one to use.
    """
    listed = [{"folder": f"networks/{name}", **entry} for name, entry in cells.items()]
    write_json(out / RUN, {"schema": SCHEMA, "selector": selector, "kept": listed})


def entries(run: str | Path, name: str | None = None) -> list[dict[str, Any]]:
    """What a run has kept: folder, selector and seed, the first of each selector first.

    Args:
        run: the folder of a run.
        name: only this selector; None for the one that the run is about, "all" for all.

    Raises:
        StoreError: the folder holds no such run.
        SettingError: it has no such selector.
    """
    run = Path(run)
    if not (run / RUN).is_file():
        what = "holds no trained selector" if run.is_dir() else "is not there"
        raise StoreError(f"--run {run} {what}: give the folder of a sfumato pixels train")
    head = read_json(run / RUN)
    whole = isinstance(head, dict) and head.get("schema") == SCHEMA
    if not whole or not isinstance(head.get("kept"), list):
        raise StoreError(f"{run / RUN} does not say what was trained: train again")
    name = head["selector"] if name is None else name
    found = [one for one in head["kept"] if name in ("all", one["selector"])]
    if not found:
        known = ", ".join(dict.fromkeys(one["selector"] for one in head["kept"]))
        raise SettingError(f"--selector {name}: the run in {run} has {known}")
    return found


def load_kept(folder: Path, predictor: str | None = None) -> Kept:
    """Read what `keep` wrote.

    Args:
        folder: where it lies.
        predictor: module:factory of a predictor of the user's own. What the folder itself says of
            it is not run: it may come from somebody else.

    Raises:
        SettingError: it is needed, and not given.
        StoreError: a file is missing or damaged.
    """
    entry = read_json(folder / ENTRY)
    wanted = {"name", "k", "weight", "rounds", "predictor"}
    if not isinstance(entry, dict) or not wanted <= entry.keys():
        raise StoreError(f"{folder / ENTRY} does not say what was trained: train again")
    made_by, make = str(entry["predictor"]), None
    if made_by not in PREDICTORS:
        if predictor is None or ":" not in predictor:
            raise SettingError(
                f"the run was trained with a predictor of your own: --predictor {made_by}"
            )
        make = predictor_factory(predictor)
    found, task = load_predictor(folder / "predictor.safetensors", make)
    given: dict[str, Any] = {"predictor": found} if entry["name"] == "uncertainty" else {}
    selector = load_selector(folder / "selector", **given).eval()
    rounds = entry["rounds"]
    rounds = rounds if isinstance(rounds, int) else tuple(rounds)
    k, weight = entry["k"], entry["weight"]
    return Kept(entry["name"], selector, found, task, k, weight, rounds, made_by)
