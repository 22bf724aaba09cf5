"""Noisy labels with the truth beside them, in memory and on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from sfumato.errors import StoreError
from sfumato.files import atomic, prepare_folder, read_json, sha256, write_json
from sfumato.label_noise.checks import check_labels, fingerprint

_FORMAT = "sfumato label noise 1"
_READABLE = 32  # classes of a matrix that people may want to read
_HEAD, _BODY = "noise.json", "noise.safetensors"


@final
@dataclass(frozen=True, eq=False)
class NoisyLabels:
    """Labels of which some are wrong, and the truth.

    Args:
        labels: as given to the one who learns, `[N]`, int64.
        clean: the truth, `[N]`, int64.
        matrix: P(given = j | true = k) in row k and column j, `[C, C]`, float64; of noise that
            depends on the record, its mean over the records of class k.
        pattern: for patterned flips the class that each class is taken for, else None.
        settings: the law's name and arguments.
        seed: that the noise was drawn with.
    """

    labels: Tensor
    clean: Tensor
    matrix: Tensor
    pattern: tuple[int, ...] | None
    settings: dict[str, Any]
    seed: int

    @property
    def classes(self) -> int:
        """The number of classes."""
        return len(self.matrix)

    @property
    def flipped(self) -> Tensor:
        """Which labels are wrong, bool `[N]`."""
        return self.labels != self.clean

    @property
    def rate(self) -> float:
        """The share of labels that are wrong, as drawn."""
        return float(self.flipped.double().mean())

    def summary(self) -> dict[str, Any]:
        """All but the labels themselves, as JSON values; the matrix up to 32 classes."""
        return {
            "format": _FORMAT,
            "noise": self.settings,
            "seed": self.seed,
            "records": len(self.labels),
            "classes": self.classes,
            "rate": self.rate,
            "pattern": None if self.pattern is None else list(self.pattern),
            "matrix": self.matrix.tolist() if self.classes <= _READABLE else None,
            "clean_sha256": fingerprint(self.clean),
        }

    def save(self, folder: str | Path) -> None:
        """Write `noise.json`, for people, and `noise.safetensors`, labels and matrix.

        Raises:
            OutputError: the folder cannot be written.
        """
        folder = prepare_folder(folder)
        with atomic(folder / _BODY) as part:
            tensors = {"labels": self.labels, "matrix": self.matrix}
            part.write_bytes(save({name: one.contiguous() for name, one in tensors.items()}))
        write_json(folder / _HEAD, {**self.summary(), "labels_sha256": sha256(folder / _BODY)})

    @staticmethod
    def load(folder: str | Path, clean: Tensor) -> NoisyLabels:
        """Read noise that was saved, for the very labels that it was made for.

        Args:
            folder: what `save` has written.
            clean: the clean labels `[N]`.

        Raises:
            StoreError: the files are not there, damaged or changed, or the noise was made for
                other labels.
            DataError: `clean` holds no labels.
        """
        folder = Path(folder)
        head = read_json(folder / _HEAD)
        if not isinstance(head, dict) or head.get("format") != _FORMAT:
            raise StoreError(f"{folder / _HEAD} is no noise file of this version: make it anew")
        if not {"pattern", "noise", "seed"} <= head.keys():
            raise StoreError(f"{folder / _HEAD} was changed, parts of it are gone: make it anew")
        check_labels(clean)
        if head.get("clean_sha256") != fingerprint(clean):
            raise StoreError(
                f"{folder} holds noise for {head.get('records')} other labels than these "
                f"{len(clean)}: take the data, the split and the order that it was made for, or "
                "make new noise"
            )
        labels, matrix = _read_tensors(folder / _BODY, head)
        pattern = head["pattern"]
        return NoisyLabels(
            labels,
            clean.detach().cpu().long(),
            matrix,
            None if pattern is None else tuple(pattern),
            head["noise"],
            head["seed"],
        )


def _read_tensors(path: Path, head: dict[str, Any]) -> tuple[Tensor, Tensor]:
    if not path.is_file() or sha256(path) != head.get("labels_sha256"):
        raise StoreError(f"{path} is missing or was changed: make the noise anew")
    try:
        tensors = load_file(path)
        return tensors["labels"], tensors["matrix"]
    except (SafetensorError, KeyError) as error:
        raise StoreError(f"{path} is damaged ({error}): make the noise anew") from error
