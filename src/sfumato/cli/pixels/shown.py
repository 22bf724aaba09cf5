"""The pictures on the page of the rounds: what was asked, answered and predicted from it."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from sfumato.cli.pixels.kept import Kept
from sfumato.errors import DataError
from sfumato.files import atomic
from sfumato.pixels.rounds import PictureFolder, Rounds
from sfumato.pixels.selectors.uncertainty import evaluated

SHOWN = 6


def rounds_pictures(folder: Path, rounds: Rounds, pictures: str, kept: Kept | None) -> None:
    """Write the first pictures, what is known of them, and a run's prediction from it.

    Nothing is written where the folder of pictures is gone: the figures do not need it.

    Args:
        folder: of the rounds.
        rounds: in it.
        pictures: the folder of pictures.
        kept: whose predictor is asked, where there is one.
    """
    channels = 3 if kept is None else kept.selector.channels
    try:
        found = PictureFolder(pictures, rounds.size, channels, pictures=rounds.pictures)
        images = torch.stack([found[at] for at in range(min(SHOWN, len(found)))])
    except DataError:
        return
    known = rounds.known()
    bought, target, valid = (
        one[: len(images)] for one in (known.bought, known.target, known.valid)
    )
    tensors = {"image": images, "bought": bought > 0, "valid": valid}
    if kept is not None:
        shown = valid.float()
        with torch.no_grad(), evaluated(kept.predictor):
            made = kept.predictor(images, kept.task.encode(target) * shown, shown)
        tensors["prediction"] = kept.task.decode(made)
    with atomic(folder / "pictures.safetensors") as part:
        save_file({name: one.contiguous() for name, one in tensors.items()}, part)
