"""Selections: how much of each category's kernels an input passes through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.errors import DataError, SettingError
from sfumato.nn.base import check_positive
from sfumato.nn.values import readable
from sfumato.noise import Source
from sfumato.noise.base import at_least_float32
from sfumato.noise.source import TORCH

Place = Literal["input", "output"]
Combine = Literal["sum", "mixture"]


@final
class SoftSelection(nn.Module):
    """The learned selection π, with values in [0, 1] for each category (spec 3 §2.1.1).

    `forward()` gives π, `[num_classes, *shape]`. It starts uniform, at 1 / num_classes.

    Args:
        num_classes: number of categories C.
        shape: `()` for one number per class, `(channels,)` for one per channel, or the shape of a
            record, `(channels, H, W)`, for one per element; an axis of size 1 is shared.
        place: on the layer's `"input"` (the first incarnation) or on its `"output"`.
        combine: `"sum"` merges the classes' raw parameters before the non-linearity and draws
            once; `"mixture"` draws a class c ~ π for each record (for each channel or element
            where π has such axes), then h ~ law_c. The class is drawn even where ε is given, and a
            layer's `params` and `distribution` are those of the class drawn in that call.
        normalize: π sums to 1 over the classes (a softmax); without it each value is a sigmoid of
            its own, the literal reading of the source, and a mixture is not defined.
        temperature: of the Gumbel-softmax that carries the gradient of a mixture.

    Raises:
        SettingError: an argument is not one of those named above.
    """

    def __init__(
        self,
        num_classes: int,
        shape: tuple[int, ...] = (),
        place: Place = "input",
        combine: Combine = "sum",
        *,
        normalize: bool = True,
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        check_positive(num_classes=num_classes)
        if place not in ("input", "output"):
            raise SettingError(f"unknown place {place!r}: use 'input' or 'output'")
        if combine not in ("sum", "mixture"):
            raise SettingError(f"unknown combine {combine!r}: use 'sum' or 'mixture'")
        if combine == "mixture" and not normalize:
            raise SettingError("a mixture draws c ~ π, so π must sum to 1: use normalize=True")
        if not temperature > 0:
            raise SettingError(f"temperature must be above 0, not {temperature}")
        self.num_classes, self.shape = num_classes, tuple(shape)
        self.place: Place = place
        self.combine: Combine = combine
        self.normalize, self.temperature = normalize, temperature
        start = 0.0 if normalize or num_classes == 1 else -torch.log(torch.tensor(num_classes - 1))
        self.logits = nn.Parameter(torch.full((num_classes, *self.shape), float(start)))

    def forward(self) -> Tensor:
        """The selection π: `[num_classes, *shape]`, each value in [0, 1]."""
        return self.logits.softmax(0) if self.normalize else self.logits.sigmoid()

    def config(self) -> dict[str, Any]:
        """The constructor's arguments, as JSON values."""
        return {
            "num_classes": self.num_classes,
            "shape": list(self.shape),
            "place": self.place,
            "combine": self.combine,
            "normalize": self.normalize,
            "temperature": self.temperature,
        }

    def extra_repr(self) -> str:
        """The constructor's arguments, for `print(selection)`."""
        return ", ".join(f"{key}={value!r}" for key, value in self.config().items())


Selection: TypeAlias = "Tensor | SoftSelection"


@dataclass(frozen=True)
class Labels:
    """Hard selection of one class for each record, `[B]`, or for each place, `[B, *spatial]`."""

    index: Tensor

    def shares(self, num_classes: int) -> Shares:
        """The same as one-hot shares on the input."""
        one_hot = F.one_hot(self.index, num_classes).movedim(-1, 1)
        return Shares(one_hot.to(torch.get_default_dtype()).unsqueeze(2), "input")


@dataclass(frozen=True)
class Shares:
    """Shares `[B or 1, C, channels or 1, *spatial or 1]` of each class, on input or output."""

    values: Tensor
    place: Place

    @property
    def constant(self) -> bool:
        """Whether the shares are the same everywhere in a record."""
        return all(size == 1 for size in self.values.shape[3:])


def add_background(mask: Tensor) -> Tensor:
    """Append a class for the pixels that no class claims: `[B, C, ...]` to `[B, C + 1, ...]`.

    Without it such pixels would get a scale of softplus(0) and no location at all.
    """
    if mask.dtype == torch.bool:
        rest = ~mask.any(1, keepdim=True)
    else:
        rest = (1 - mask.sum(1, keepdim=True)).clamp(min=0)
    return torch.cat([mask, rest], dim=1)


def holds_shares(selection: object) -> bool:
    """Whether a selection is a tensor of masks or π, and not of classes."""
    if not isinstance(selection, Tensor):
        return False
    return selection.dtype == torch.bool or selection.is_floating_point()


def read_selection(
    selection: Selection,
    batch: int,
    num_classes: int,
    spatial: int,
    *,
    draw: bool = True,
    source: Source = TORCH,
) -> Labels | Shares:
    """What a selection means for a batch of `batch` records with `spatial` spatial axes.

    Raises:
        DataError: shape, dtype, class or value do not fit; the message says which.
    """
    if isinstance(selection, SoftSelection):
        return _read_soft(selection, batch, num_classes, spatial, draw, source)
    if not isinstance(selection, Tensor):
        raise DataError(
            "a selection is a tensor of labels [B], a class map, a mask [B, C, ...] or a "
            f"SoftSelection, not {type(selection).__name__}"
        )
    if holds_shares(selection):
        return _read_shares(selection, batch, num_classes, spatial)
    return read_classes(selection, batch, num_classes, spatial)


def _read_soft(
    soft: SoftSelection, batch: int, num_classes: int, spatial: int, draw: bool, source: Source
) -> Labels | Shares:
    if soft.num_classes != num_classes:
        raise DataError(
            f"the selection has {soft.num_classes} classes, but the layer has {num_classes}"
        )
    if len(soft.shape) not in (0, 1, 1 + spatial):
        raise DataError(
            f"a selection of shape {soft.shape} does not fit records with {spatial} spatial axes: "
            "use (), (channels,) or (channels, *spatial)"
        )
    pi = soft()
    own = (1,) * (1 + spatial - len(soft.shape))
    pi = pi.reshape(1, num_classes, *soft.shape, *own)
    if soft.combine == "sum" or not draw:
        return Shares(pi, soft.place)
    drawn = _draw_class(pi.expand(batch, *pi.shape[1:]), soft.temperature, source)
    if drawn.requires_grad or drawn[0, 0].numel() > 1:
        return Shares(drawn, soft.place)
    return Labels(drawn.reshape(batch, num_classes).argmax(1))


def _draw_class(pi: Tensor, temperature: float, source: Source) -> Tensor:
    """One-hot c ~ π with the gradient of a Gumbel-softmax (straight-through)."""
    pi = at_least_float32(pi)  # half precision would tie, and the first class would win
    uniform = source.symmetric(pi.shape, torch.float64, pi.device).abs()
    gumbel = -torch.log(-torch.log(uniform)).to(pi.dtype)
    tiny = torch.finfo(pi.dtype).tiny
    score = pi.clamp(min=tiny).log() + gumbel
    hard = torch.zeros_like(score).scatter(1, score.argmax(1, keepdim=True), 1.0)
    if not score.requires_grad:
        return hard
    soft = (score / temperature).softmax(1)
    return hard + (soft - soft.detach())  # the bracket is exactly 0: one-hot stays one-hot


def read_classes(classes: Tensor, batch: int, num_classes: int, spatial: int) -> Labels:
    """Labels or a class map, checked.

    Raises:
        DataError: shape or class do not fit; the message says which.
    """
    if classes.dim() not in {1, 1 + spatial} or classes.shape[0] != batch:
        maps = f" or a class map [{batch}, ...] with {spatial} spatial axes" if spatial else ""
        raise DataError(f"labels must be [{batch}]{maps}, not {list(classes.shape)}")
    if readable(classes) and classes.numel() and classes.device.type == "cpu":
        low, high = int(classes.min()), int(classes.max())
        if low < 0 or high >= num_classes:
            what = "labels" if classes.dim() == 1 else "classes of the map"
            hint = "" if classes.dim() == 1 else "; give unlabelled pixels a background class"
            raise DataError(
                f"{what} must lie in 0..{num_classes - 1}, but {low}..{high} occur{hint}"
            )
    return Labels(classes.long())


def _read_shares(shares: Tensor, batch: int, num_classes: int, spatial: int) -> Shares:
    if shares.dim() == 1:
        raise DataError(f"labels must be integers, not {shares.dtype}: use labels.long()")
    fits = shares.dim() in {2, 2 + spatial, 3 + spatial}
    if fits and shares.dim() > 2 and shares.shape[1] != num_classes == shares.shape[-1]:
        raise DataError(
            f"the classes of a mask or π stand second, [B, {num_classes}, ...], but this one is "
            f"{list(shares.shape)}: use .movedim(-1, 1)"
        )
    if not fits or shares.shape[0] not in (1, batch) or shares.shape[1] != num_classes:
        raise DataError(
            f"a mask or π must be [{batch}, {num_classes}], then one size for each of {spatial} "
            f"spatial axes, with or without a channel axis before them, not {list(shares.shape)}"
        )
    if readable(shares) and shares.numel():
        low, high = float(shares.detach().min()), float(shares.detach().max())
        if not (low >= 0 and high <= 1):
            raise DataError(f"the values of π must lie in [0, 1], but {low:g}..{high:g} occur")
        if shares.dtype == torch.bool and not bool(shares.any(1).all()):
            raise DataError(
                "the mask leaves pixels without a class: give them one with "
                "sfumato.nn.add_background(mask), and the layer one class more"
            )
    values = shares if shares.is_floating_point() else shares.to(torch.get_default_dtype())
    if values.dim() == 2:
        values = values.reshape(*values.shape, *(1,) * (1 + spatial))
    elif values.dim() == 2 + spatial:
        values = values.unsqueeze(2)
    return Shares(values, "input")
