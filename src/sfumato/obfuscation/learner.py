"""What a trainer who knows the noise can do: average, agree with itself, be told the scale."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.errors import DataError, SettingError


@torch.no_grad()
def averaged_prediction(
    model: nn.Module,
    obfuscate: Callable[[Tensor], Tensor],
    x: Tensor,
    draws: int = 16,
    *,
    of: Literal["probabilities", "logits"] = "probabilities",
    batch_size: int = 1024,
) -> Tensor:
    """Predictions for inputs in clear, averaged over fresh draws of the noise of the training.

    A model that learned from releases has rarely seen a record in clear. Its owner, who has the
    input in clear, shows it as the model knows it, and averages out what the draw does. The draws
    are never released: whoever sends K of them out makes K releases.

    Args:
        model: gives logits `[B, C]`; evaluated in evaluation mode, which is restored.
        obfuscate: one fresh draw for each record under no label, an `Obfuscator` for example.
        x: `[N, ...]`.
        draws: how many.
        of: average probabilities, or logits before the softmax.
        batch_size: records at a time.

    Returns:
        Probabilities `[N, C]`.

    Raises:
        SettingError: fewer than one draw, an unknown `of`; or, from an obfuscator, that it has
            learned no selection for records without a label.
    """
    if draws < 1:
        raise SettingError(f"draws must be at least 1, not {draws}")
    if of not in ("probabilities", "logits"):
        raise SettingError(f"of must be 'probabilities' or 'logits', not {of!r}")
    before, parts = model.training, []
    model.eval()
    try:
        for batch in x.split(batch_size):
            shown = torch.stack([model(obfuscate(batch)) for _ in range(draws)])
            mean = shown.softmax(2).mean(0) if of == "probabilities" else shown.mean(0).softmax(1)
            parts.append(mean)
    finally:
        model.train(before)
    return torch.cat(parts)


def consistency(first: Tensor, second: Tensor) -> Tensor:
    """½ [KL(p ‖ q) + KL(q ‖ p)] of two predictions of the same records, in nats.

    Added to the loss of a training, it asks the model to say the same of two views of one release:
    two screenings, two shifts (as in Sajjadi et al., 2016, for augmentations). Both views are made
    of the one release that is stored; a second release would be charged in the audit.

    Args:
        first: logits `[B, C]`.
        second: logits `[B, C]`.

    Returns:
        A scalar, the mean over records.

    Raises:
        DataError: the shapes differ.
    """
    if first.shape != second.shape or first.dim() != 2:
        raise DataError(
            f"two predictions of the same records are compared, not {list(first.shape)} and "
            f"{list(second.shape)}"
        )
    log_p, log_q = F.log_softmax(first, 1), F.log_softmax(second, 1)
    return 0.5 * ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum(1).mean()


def with_scale(x: Tensor, scale: Tensor) -> Tensor:
    """`x` with further channels that tell the noise, for a model inside `ScaleInput`.

    The scale of a label-conditional obfuscator tells the label: a model that is given it learns to
    read it, and fails on clean records. Give scales that do not depend on the label, or a flag.

    Args:
        x: `[B, C, *spatial]` or `[B, F]`.
        scale: the scale of every element, `[B or 1, E, *spatial]` (axes may be 1), or one number a
            record, `[B]`, such as whether it is a release: `released.float()`. Clean records have
            scale 0.

    Returns:
        `[B, C + E, *spatial]`.

    Raises:
        DataError: `scale` does not fit.
    """
    if scale.dim() == 1:
        scale = scale.reshape(-1, *(1,) * (x.dim() - 1))
    fits = scale.dim() == x.dim() and all(
        have in (1, want)
        for axis, (have, want) in enumerate(zip(scale.shape, x.shape, strict=True))
        if axis != 1
    )
    if not fits:
        raise DataError(
            f"a scale for records {list(x.shape)} has one number for each of them, or the same "
            f"axes, not {list(scale.shape)}"
        )
    return torch.cat([x, scale.to(x).expand(len(x), -1, *x.shape[2:])], 1)


@final
class ScaleInput(nn.Module):
    """A model that is told the noise in further channels, and takes clean records as they are.

    Args:
        model: takes `[B, channels + extra, *spatial]`.
        channels: of a record (features, if it is a vector).
        extra: how many channels tell the noise.

    Example:
        >>> import torch
        >>> model = ScaleInput(torch.nn.Conv2d(1 + 1, 4, 3), channels=1)
        >>> clean, released = torch.zeros(2, 1, 8, 8), torch.tensor([1.0, 1.0])
        >>> model(clean).shape == model(with_scale(clean, released)).shape
        True
    """

    def __init__(self, model: nn.Module, channels: int, extra: int = 1) -> None:
        super().__init__()
        if channels < 1 or extra < 1:
            raise SettingError(f"channels and extra must be at least 1, not {channels}, {extra}")
        self.model, self.channels, self.extra = model, channels, extra

    def forward(self, x: Tensor) -> Tensor:
        """What the model gives for `x`, with or without the further channels.

        Raises:
            DataError: another number of channels.
        """
        if x.shape[1] == self.channels:
            clean = x.new_zeros(len(x), self.extra, *x.shape[2:])
            return self.model(torch.cat([x, clean], 1))
        if x.shape[1] != self.channels + self.extra:
            raise DataError(
                f"records have {self.channels} channels, or {self.channels + self.extra} with "
                f"those that tell the noise, not {x.shape[1]}"
            )
        return self.model(x)
