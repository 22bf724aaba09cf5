"""A backbone with a classifier of identities, whose last unit can be extended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, final

import torch
from torch import Tensor, nn

from sfumato.errors import SettingError
from sfumato.label_noise.networks import with_dropout, with_noise, with_parallel
from sfumato.label_noise.networks.hidden import KERNELS
from sfumato.label_noise.reidentification.identities import pixels

Extension = Literal["parallel", "dropout", "stochastic"]
_EXTENDED: dict[Extension, Callable[[nn.Module, list[str]], nn.Module]] = {
    "parallel": with_parallel,
    "dropout": lambda network, names: with_dropout(network, 0.5, names),
    "stochastic": with_noise,
}


@final
class ReidentificationNetwork(nn.Module):
    """Features from a backbone, and a linear classifier of identities over them (spec 4 §4.3).

    The classifier is there for training alone: a test compares features.

    Args:
        backbone: any module from `[B, C, H, W]` to features `[B, D]`, or `[B, D, h, w]`, which are
            averaged over the picture.
        shape: of one picture, (C, H, W).
        identities: how many the classifier tells apart.

    Raises:
        SettingError: the backbone gives something else, or fewer than two identities.

    Example:
        >>> import torch
        >>> backbone = nn.Sequential(nn.Flatten(), nn.Linear(12, 5))
        >>> network = ReidentificationNetwork(backbone, (3, 2, 2), identities=7)
        >>> pictures = torch.zeros(4, 3, 2, 2)
        >>> network(pictures).shape, network.embed(pictures).shape
        (torch.Size([4, 7]), torch.Size([4, 5]))
    """

    def __init__(self, backbone: nn.Module, shape: Sequence[int], identities: int) -> None:
        super().__init__()
        if identities < 2:
            raise SettingError(f"a classifier needs at least two identities, not {identities}")
        self.backbone = backbone
        self.classifier = nn.Linear(self._width(tuple(shape)), identities)

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits `[B, identities]` of pictures `[B, C, H, W]`, float32 or uint8."""
        return self.classifier(self.embed(pictures))

    def embed(self, pictures: Tensor) -> Tensor:
        """Features `[B, D]` of pictures `[B, C, H, W]`."""
        features = self.backbone(pixels(pictures))
        return features.mean((2, 3)) if features.ndim == 4 else features

    @torch.no_grad()
    def _width(self, shape: tuple[int, ...]) -> int:
        before = self.backbone.training
        try:
            features = self.backbone.eval()(torch.zeros(2, *shape))
        finally:
            self.backbone.train(before)
        if not isinstance(features, Tensor) or features.ndim not in (2, 4) or len(features) != 2:
            raise SettingError(
                "the backbone must give features [B, D] or [B, D, h, w]: leave its classifier out"
            )
        return features.shape[1]


def last_unit(backbone: nn.Module) -> str:
    """The name of the last linear or convolutional layer of a backbone, in order of definition.

    Raises:
        SettingError: it has none.
    """
    names = [name for name, module in backbone.named_modules() if isinstance(module, KERNELS)]
    if not names:
        raise SettingError(
            "the backbone has no linear or convolutional layer that could become stochastic"
        )
    return names[-1]


def extend(
    network: ReidentificationNetwork, extension: Extension, unit: str | None = None
) -> ReidentificationNetwork:
    """A copy that goes into stage 2 (spec 4 appendix A): its last unit extended, the rest frozen.

    Args:
        network: trained in stage 1.
        extension: `"stochastic"`: the unit's output becomes the location, beside a scale kernel
            that starts at random; `"parallel"`: a second layer of the same size is added to it;
            `"dropout"`: half of its output is dropped in training.
        unit: name of the layer inside the backbone; the last one when None.

    Returns:
        A network of which the unit and the classifier alone still learn. In training its batch
        norms go on to follow the statistics of the pictures.

    Raises:
        SettingError: no such layer, or one that cannot be extended.
    """
    inside = last_unit(network.backbone) if unit is None else unit
    name = f"backbone.{inside}" if inside else "backbone"  # a backbone may be one layer
    made = _EXTENDED[extension](network, [name])
    assert isinstance(made, ReidentificationNetwork)
    made.requires_grad_(False)
    made.get_submodule(name).requires_grad_(True)
    made.classifier.requires_grad_(True)
    return made
