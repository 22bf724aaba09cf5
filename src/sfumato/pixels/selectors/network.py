"""The query network: a picture and what was bought in, one score per pixel out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal, final

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, relu

from sfumato.errors import SettingError
from sfumato.pixels.selectors.base import Seen


@final
@dataclass(frozen=True)
class QuerySettings:
    """How a query network is built.

    Args:
        width: channels of the finest level; doubled once, on the level below.
        levels: how often the picture is halved; context reaches about 5 · 2^levels pixels.
        padding: "replicate"; or "zeros", with which a network can tell the border from the rest,
            and free masks gather there (it is here to show that).
        upsampling: "bilinear"; or "transposed", with which masks get a chequered pattern (spec 5,
            page 11; it is here to show that).

    Raises:
        SettingError: a setting outside of what it may be.
    """

    width: int = 12
    levels: int = 3
    padding: Literal["replicate", "zeros"] = "replicate"
    upsampling: Literal["bilinear", "transposed"] = "bilinear"

    def __post_init__(self) -> None:
        if self.width < 1 or self.levels < 0:
            raise SettingError(
                f"a query network needs a width of at least 1 and 0 or more levels, not "
                f"{self.width} and {self.levels}"
            )
        for name, known in (
            ("padding", ("replicate", "zeros")),
            ("upsampling", ("bilinear", "transposed")),
        ):
            if getattr(self, name) not in known:
                raise SettingError(f"{name} is {' or '.join(known)}, not {getattr(self, name)!r}")

    def config(self) -> dict[str, Any]:
        """The arguments, as JSON values."""
        return asdict(self)


class Scores(nn.Module, ABC):
    """Where a learned selector has its logits from: `[B, 1, H, W]`."""

    @abstractmethod
    def forward(self, seen: Seen) -> Tensor:
        """The logits for what is seen of pictures `[B, C, H, W]`."""


@final
class QueryNetwork(Scores):
    """A small U-Net with coarse context: time and memory linear in the pixels.

    The padding replicates the border: with zeros a network sees where the border is, and masks are
    drawn there.

    Args:
        channels: of the pictures.
        values: channels of the bought labels.
        settings: width, levels and the like.
        flat: let the last layer start at zero, so that no pixel is preferred at first.
        bias: where the logits start.
    """

    def __init__(
        self,
        channels: int,
        values: int = 0,
        settings: QuerySettings | None = None,
        *,
        flat: bool = True,
        bias: float = 0.0,
    ) -> None:
        super().__init__()
        settings = settings or QuerySettings()
        width, padding = settings.width, settings.padding
        widths = [width, *[2 * width] * settings.levels]
        self.enter = _convolution(channels + 1 + (1 + values if values else 0), width, padding)
        self.down = nn.ModuleList(_convolution(a, b, padding) for a, b in pairwise(widths))
        self.up = nn.ModuleList(_convolution(a, a, padding) for a in widths[:-1])
        self.enlarge = nn.ModuleList(
            _Enlarge(b, a, settings.upsampling == "transposed") for a, b in pairwise(widths)
        )
        self.world = nn.Linear(widths[-1], widths[-1])  # what the whole picture is like
        self.head = nn.Conv2d(width, 1, 1)
        with torch.no_grad():
            assert self.head.bias is not None
            self.head.bias.fill_(bias)
            if flat:
                self.head.weight.zero_()

    def forward(self, seen: Seen) -> Tensor:
        """One logit per pixel, `[B, 1, H, W]`."""
        # In this order of memory convolutions of few channels take half the time.
        planes = seen.planes().contiguous(memory_format=torch.channels_last)
        x = relu(self.enter(planes))
        passed = []
        for layer in self.down:
            passed.append(x)
            x = relu(layer(avg_pool2d(x, 2, ceil_mode=True)))
        x = x + self.world(x.mean(dim=(2, 3)))[:, :, None, None]
        for layer, enlarge, fine in zip(
            reversed(self.up), reversed(self.enlarge), reversed(passed), strict=True
        ):
            x = relu(layer(fine + enlarge(x, fine)))
        return self.head(x)


@final
class FreeLogits(Scores):
    """One free logit per pixel, the same for every picture.

    Args:
        size: height and width.
        flat: let all start alike; if not, they are told apart by a little noise.
        bias: where they start.
    """

    def __init__(self, size: tuple[int, int], *, flat: bool = True, bias: float = 0.0) -> None:
        super().__init__()
        spread = 0.0 if flat else 0.01
        self.logits = nn.Parameter(bias + spread * torch.randn(1, 1, *size))

    def forward(self, seen: Seen) -> Tensor:
        """The same logits for every picture."""
        return self.logits.expand(len(seen.image), -1, -1, -1)


@final
class _Enlarge(nn.Module):
    """To channels and size of a finer map: bilinear, or by a transposed convolution."""

    def __init__(self, channels: int, width: int, transposed: bool) -> None:
        super().__init__()
        self.layer = (
            nn.ConvTranspose2d(channels, width, 3, stride=2)
            if transposed
            else nn.Conv2d(channels, width, 1)
        )

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        size, x = like.shape[2:], self.layer(x)
        if isinstance(self.layer, nn.ConvTranspose2d):
            return x[:, :, : size[0], : size[1]]
        return interpolate(x, size=size, mode="bilinear", align_corners=False)


def scores_for(
    channels: int,
    size: tuple[int, int],
    values: int,
    settings: QuerySettings | None,
    *,
    flat: bool = True,
    bias: float = 0.0,
) -> Scores:
    """A query network; or, without settings, free logits that are the same for every picture."""
    if settings is None:
        return FreeLogits(size, flat=flat, bias=bias)
    return QueryNetwork(channels, values, settings, flat=flat, bias=bias)


def read_settings(given: QuerySettings | Mapping[str, Any] | None) -> QuerySettings:
    """Settings as they are, from a mapping as a config file has it, or the default.

    Raises:
        SettingError: a setting that there is not.
    """
    if given is None or isinstance(given, QuerySettings):
        return given or QuerySettings()
    unknown = sorted(set(given) - set(QuerySettings.__dataclass_fields__))
    if unknown:
        raise SettingError(f"a query network has no setting {', '.join(unknown)}")
    return QuerySettings(**given)


def _convolution(channels: int, width: int, padding: Literal["replicate", "zeros"]) -> nn.Conv2d:
    return nn.Conv2d(channels, width, 3, padding=1, padding_mode=padding)
