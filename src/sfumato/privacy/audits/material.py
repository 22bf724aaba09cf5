"""Who has which records: the attacker's auxiliary ones, and those that are attacked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor
from torch.utils.data import Dataset

from sfumato.data.batches import title
from sfumato.data.order import SPLIT_SEED, stratified_order
from sfumato.data.records import Records, check_batch, check_classes, gather
from sfumato.data.released import is_released, open_released
from sfumato.errors import DataError, StoreError
from sfumato.privacy.knowledge import Mechanism

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
        DataError: too few records, one class, NaN, sizes or classes that differ.
        StoreError: the stored set is not there, was changed, or is not one of these records.
    """
    stored = None if released is None else _open(Path(released), digest)
    if isinstance(data, tuple):
        if len(data) != 2:
            raise DataError(f"data is one data set or a pair, not {len(data)} parts")
        known, target = (_read(part) for part in data)
        source, numbers = target, _first(target.labels, attacked)
        split = "The attacker's records and the attacked ones were given as two data sets."
        target = target.subset(numbers)
    else:
        source = _read(data)
        order = stratified_order(source.labels, SPLIT_SEED)
        count = min(attacked, len(source) // 2)
        numbers, kept = order[:count].sort().values, order[count:].sort().values
        known, target = source.subset(kept), source.subset(numbers)
        split = (
            f"One data set of {len(source)} records was split: {count} are attacked, the attacker "
            f"has the other {len(kept)}. Class shares are kept, the split is always the same."
        )
    _check(known, target)
    releases = None if stored is None else _stored(stored, source, numbers)
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
    """The mechanism's own digest, or a checksum of the law of some releases."""
    if own := own_digest(mechanism):
        return own
    x, labels = material.auxiliary.inputs[:64], material.auxiliary.labels[:64]
    with torch.no_grad():
        law = mechanism.distribution(x, labels)
    digest = hashlib.sha256(type(mechanism).__name__.encode())
    for part in (law.mean, law.variance):
        digest.update(part.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


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


def _first(labels: Tensor, count: int) -> Tensor:
    """Numbers of `count` records, class shares kept; of all where there are no more."""
    if count >= len(labels):
        return torch.arange(len(labels))
    return stratified_order(labels, SPLIT_SEED)[:count].sort().values


def _check(known: Records, target: Records) -> None:
    for part, what in ((known, "auxiliary"), (target, "attacked")):
        if len(part) < LEAST:
            raise DataError(
                f"{len(part)} {what} records are too few for an audit: give at least {LEAST} of "
                "each"
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


def _stored(opened: Any, source: Records, numbers: Tensor) -> Tensor:
    """The stored releases of the records `numbers`; the set must be one of all of `source`."""
    if not torch.equal(opened.labels, source.labels):
        raise StoreError(
            f"the released set {opened.name} holds {len(opened)} records whose labels are not "
            f"those of the {len(source)} records of {source.name}, in their order: audit it with "
            "the data that was released"
        )
    return opened.subset(numbers).inputs
