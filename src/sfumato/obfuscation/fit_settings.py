"""How an obfuscator is fitted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, final

from sfumato.errors import SettingError
from sfumato.obfuscation.pooling import Pool, check_pool
from sfumato.train import Recipe


@final
@dataclass(frozen=True)
class FitSettings:
    """How an obfuscator is fitted.

    Args:
        kernels: the recipe of step 1, kernels under the hard selection.
        selection: the recipe of step 2, the soft selection.
        shape: the shape of the soft selection: None for one value for each class and each element
            of what the layer reads (the record, as the source has it, or what the regular layers
            make of it), or of the release for `place="output"`; `()` for one for each class.
        place: the selection on the layer's `"input"` or `"output"`.
        combine: `"sum"` or `"mixture"`.
        joint: in step 2 train the kernels too; else they are frozen.
        location: `"learned"`, or `"identity"` to keep the location as it is and learn the noise.
        margin: b of the max-entropy objective, in nats.
        label_penalty: the weight of `sf.objectives.label_leak` in step 1: noise that shows its
            label invites a model to read the noise instead of the picture.
        pool: classes that share their kernels, because each has too few records to learn them
            from: `"never"`; `"auto"`, which merges the smallest class with its nearest until every
            group has 50 records; a number of groups, of near class means; or the group of every
            class, such as `(0, 0, 1)`. Within a group nobody can tell a label from the noise.

    Raises:
        SettingError: an unknown `location` or `pool`.
    """

    kernels: Recipe = field(default_factory=lambda: Recipe(epochs=3, min_steps=200, lr=1e-2))
    selection: Recipe = field(default_factory=lambda: Recipe(epochs=1, min_steps=100, lr=5e-2))
    shape: tuple[int, ...] | None = None
    place: Literal["input", "output"] = "input"
    combine: Literal["sum", "mixture"] = "sum"
    joint: bool = False
    location: Literal["learned", "identity"] = "learned"
    margin: float = 0.0
    label_penalty: float = 1.0
    pool: Pool = "never"

    def __post_init__(self) -> None:
        if self.location not in ("learned", "identity"):
            raise SettingError(f"location must be 'learned' or 'identity', not {self.location!r}")
        check_pool(self.pool)
