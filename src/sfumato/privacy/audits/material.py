"""Who has which records: the attacker's auxiliary ones, and those that are attacked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from sfumato.data.batches import title
from sfumato.data.order import SPLIT_SEED, stratified_order
from sfumato.data.records import Records, check_batch, check_classes, gather
from sfumato.data.released import is_released, open_released
from sfumato.errors import DataError, StoreError
from sfumato.files import read_json
from sfumato.privacy.attacks.moments import known_law
from sfumato.privacy.audits.identity import checksum
from sfumato.privacy.control import spread_within
from sfumato.privacy.knowledge import Mechanism
from sfumato.train.seed import seeded

CHOSEN = "chosen.json"
"""Beside a released set: which records were released, where not all were."""

LEAST = 32
"""An audit needs at least so many auxiliary records, and as many to attack."""

Data = Dataset[Any] | tuple[Dataset[Any], Dataset[Any]]


@final
@dataclass(frozen=True)
class Material:
    """The records of an audit.

    Args:
        auxiliary: the attacker's own.
        target: the attacked ones.
        split: in words, how the two came about.
        stored: the stored release of each attacked record, `[N, ...]`, where there is a set.
        numbers: of the attacked records in the data they were taken from, `[N]`.
    """

    auxiliary: Records
    target: Records
    split: str
    stored: Tensor | None
    numbers: Tensor

    def fingerprint(self) -> str:
        """A checksum over every record and label; only who has them all can confirm it."""
        digest = hashlib.sha256()
        for part in (self.auxiliary, self.target):
            digest.update(str(tuple(part.inputs.shape)).encode())
            digest.update(part.inputs.contiguous().numpy().tobytes())
            digest.update(part.labels.numpy().tobytes())
        return digest.hexdigest()


def gather_material(
    data: Data, attacked: int, released: str | Path | None, digest: str
) -> Material:
    """Read the records, split or cut them, and check them.

    Args:
        data: a pair (auxiliary, target), or one data set, half of whose records at most are
            attacked, the others auxiliary.
        attacked: attack at most so many records.
        released: folder of a stored release of the data (of the target, where `data` is a pair).
        digest: of the obfuscator that must have made it.

    Raises:
        DataError: too few records, one class, NaN, sizes or classes that differ, or records that
            do not vary within their class.
        StoreError: the stored set is not there, was changed, or is not one of these records.
    """
    stored = None if released is None else _open(Path(released), digest)
    out = None if released is None else chosen(Path(released))
    if isinstance(data, tuple):
        if len(data) != 2:
            raise DataError(f"data is one data set or a pair, not {len(data)} parts")
        known, source = (_read(part) for part in data)
        numbers = _first(source.labels, _able(out, source), attacked)
        split = "The attacker's records and the attacked ones were given as two data sets."
    else:
        source = _read(data)
        numbers = _first(source.labels, _able(out, source), min(attacked, len(source) // 2))
        kept = torch.ones(len(source), dtype=torch.bool)
        kept[numbers] = False
        known = source.subset(kept.nonzero().squeeze(1))
        split = (
            f"One data set of {len(source)} records was split: {len(numbers)} are attacked, the "
            f"attacker has the other {len(known)}. Class shares are kept, the split is always the "
            "same."
        )
    if out is not None:
        split += f" {len(out.records)} of the records were released, the attacked ones among them."
    target = source.subset(numbers)
    _check(known, target)
    releases = None if stored is None else _stored(stored, source, numbers, out)
    return Material(known, target, split, releases, numbers)


def check_releases(mechanism: Mechanism, material: Material) -> None:
    """Release some records, and raise a `DataError` where that is not possible or not finite."""
    x, labels = material.target.inputs[:64], material.target.labels[:64]
    with torch.random.fork_rng(), torch.no_grad():
        seen = mechanism.release(x, labels)
    if len(seen) != len(x):
        raise DataError(f"the obfuscator made {len(seen)} releases of {len(x)} records")
    if not bool(torch.isfinite(seen).all()):
        raise DataError("a release holds NaN or infinity: fit the obfuscator again")
    if material.stored is not None and material.stored.shape[1:] != seen.shape[1:]:
        raise DataError(
            f"stored releases are {list(material.stored.shape[1:])}, those of the obfuscator "
            f"{list(seen.shape[1:])}"
        )


def own_digest(mechanism: Any) -> str:
    """What the mechanism says of itself; nothing where it has no digest."""
    return str(mechanism.digest()) if callable(getattr(mechanism, "digest", None)) else ""


def digest_of(mechanism: Any, material: Material) -> str:
    """The mechanism's own digest, or a checksum of its state, its law and seeded releases.

    Each as far as there is one: a mechanism may state no law, and draws may take no seed.
    """
    if own := own_digest(mechanism):
        return own
    x, labels = material.auxiliary.inputs[:64], material.auxiliary.labels[:64]
    found: list[Any] = [type(mechanism).__name__, _state(mechanism)]
    with torch.no_grad():
        law = known_law(mechanism, x, labels)
        found.append(None if law is None else [law.mean, law.variance])
        draws = []
        for _ in range(2):
            with seeded("digest"):
                draws.append(mechanism.release(x, labels))
    if torch.equal(*draws):
        found.append(draws[0])
    return checksum(found)


def _state(mechanism: Any) -> list[Any]:
    return sorted(mechanism.state_dict().items()) if isinstance(mechanism, nn.Module) else []


def _read(data: Dataset[Any]) -> Records:
    try:
        empty = not len(data)  # type: ignore[arg-type]
    except TypeError:
        empty = False
    if empty:
        raise DataError(f"{title(data)} holds no records: there is nothing to attack")
    records = gather(data)
    check_batch(records.inputs, records.labels, records.num_classes, records.name)
    check_classes(records.labels, records.name)
    return records


def _able(out: Chosen | None, source: Records) -> Tensor:
    """Numbers of the records that may be attacked: all, or those that were released."""
    if out is None:
        return torch.arange(len(source))
    if max(out.records) >= len(source):
        raise StoreError(
            f"record {max(out.records)} was released, but {source.name} has {len(source)} records: "
            "audit with the data that was released"
        )
    return torch.tensor(out.records)


def _first(labels: Tensor, able: Tensor, count: int) -> Tensor:
    """Numbers of `count` records of `able`, class shares kept; of all where there are no more."""
    if count >= len(able):
        return able.sort().values
    return able[stratified_order(labels[able], SPLIT_SEED)[:count]].sort().values


def _check(known: Records, target: Records) -> None:
    for part, what in ((known, "auxiliary"), (target, "attacked")):
        if len(part) < LEAST:
            raise DataError(
                f"{len(part)} {what} records are too few for an audit: give at least {LEAST} of "
                "each"
            )
        if len(part) and spread_within(part) == 0:
            raise DataError(
                f"the {what} records do not vary within their class: the label says all of them, "
                "and there is nothing to hide or to recover"
            )
    if known.shape != target.shape:
        raise DataError(
            f"auxiliary records are {list(known.shape)}, attacked ones {list(target.shape)}"
        )
    if known.num_classes != target.num_classes:
        raise DataError(
            f"the attacker's records have {known.num_classes} classes, the attacked ones "
            f"{target.num_classes}"
        )


@final
@dataclass(frozen=True)
class Chosen:
    """Which records of a data set were released, where not all were.

    Args:
        data: the data set's name.
        split: which part of it.
        records: their numbers, in the order of the released set.
    """

    data: str
    split: str
    records: list[int]


def chosen(folder: Path) -> Chosen | None:
    """What `sfumato release --share` wrote beside the released set; None where it is not there.

    Raises:
        StoreError: the file is damaged.
    """
    path = released_folder(folder).parent / CHOSEN
    if not path.is_file():
        return None
    content = read_json(path)
    try:
        numbers = [int(number) for number in content["records"]]
        found = Chosen(str(content["data"]), str(content["split"]), numbers)
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path} does not say which records were released: {error!r}") from error
    if not numbers or min(numbers) < 0 or len(set(numbers)) < len(numbers):
        raise StoreError(f"{path} does not name records by different numbers from 0 on")
    return found


def released_folder(folder: Path) -> Path:
    """Where the releases lie: `folder`, or inside of a run's folder.

    Raises:
        StoreError: there is no finished release.
    """
    if not folder.is_dir():
        raise StoreError(f"there is no released set at {folder}: the folder does not exist")
    if (folder / "released").is_dir():
        folder = folder / "released"
    if not is_released(folder):
        raise StoreError(f"{folder} is no finished release: run `sfumato release` to its end")
    return folder


def _open(folder: Path, digest: str) -> Any:
    folder = released_folder(folder)
    opened = open_released(folder)
    if opened.manifest.obfuscator != digest:
        raise StoreError(f"{folder} was released by another obfuscator than the one audited")
    return opened


def _stored(opened: Any, source: Records, numbers: Tensor, out: Chosen | None) -> Tensor:
    """The stored releases of the records `numbers`; the set must be one of `source`."""
    if out is None:
        place, wanted = torch.arange(len(source)), source.labels
    else:
        wanted = source.labels[out.records]
        place = torch.full((len(source),), -1)
        place[out.records] = torch.arange(len(out.records))
    if not torch.equal(opened.labels, wanted):
        of = (
            f"the {len(wanted)} that {CHOSEN} names of" if out is not None else f"the {len(wanted)}"
        )
        raise StoreError(
            f"the released set {opened.name} holds {len(opened)} records whose labels are not "
            f"those of {of} records of {source.name}, in their order: audit it with the data that "
            f"was released; where only some were, keep {CHOSEN} beside it"
        )
    return opened.subset(place[numbers]).inputs
