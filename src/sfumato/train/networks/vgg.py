"""VGG for small pictures: the usual measures of compression on CIFAR-10 and CIFAR-100."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from sfumato.errors import SettingError

# Channels of the convolutions, block by block; after each block the picture is halved.
SIXTEEN = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
CONVOLUTIONAL = ((64,) * 2, (128,) * 2, (256,) * 4, (512,) * 4, (512,) * 4)


def vgg16(
    shape: Sequence[int] = (3, 32, 32), num_classes: int = 10, width: float = 1.0
) -> nn.Module:
    """VGG-16 with batch norm and two hidden linear layers of 512 neurons (spec 4 §4.1, table 2).

    Args:
        shape: of one record, (channels, H, W), H and W at least 32 and multiples of 32.
        num_classes: number of classes.
        width: factor on the number of channels, for runs that must be cheap.

    Raises:
        SettingError: pictures of another size.
    """
    features, size = _features(shape, SIXTEEN, width)
    hidden = _scaled(512, width)
    return nn.Sequential(
        *features, nn.Flatten(),
        nn.Linear(size, hidden), nn.BatchNorm1d(hidden), nn.ReLU(),
        nn.Linear(hidden, hidden), nn.BatchNorm1d(hidden), nn.ReLU(),
        nn.Linear(hidden, num_classes),
    )  # fmt: skip


def vgg_convolutional(
    shape: Sequence[int] = (3, 32, 32), num_classes: int = 100, width: float = 1.0
) -> nn.Module:
    """The variant of table 3: three convolutions stand for the two hidden linear layers.

    Args:
        shape: of one record, (channels, H, W), H and W at least 32 and multiples of 32.
        num_classes: number of classes.
        width: factor on the number of channels, for runs that must be cheap.

    Raises:
        SettingError: pictures of another size.
    """
    features, size = _features(shape, CONVOLUTIONAL, width)
    return nn.Sequential(*features, nn.Flatten(), nn.Linear(size, num_classes))


def _features(
    shape: Sequence[int], blocks: Sequence[Sequence[int]], width: float
) -> tuple[list[nn.Module], int]:
    if len(shape) != 3 or any(size < 32 or size % 32 for size in shape[1:]):
        raise SettingError(
            f"VGG takes pictures whose sides are multiples of 32 pixels, not {tuple(shape)}"
        )
    layers: list[nn.Module] = []
    channels = shape[0]
    for block in blocks:
        for outputs in block:
            outputs = _scaled(outputs, width)
            convolution = nn.Conv2d(channels, outputs, 3, padding=1, bias=False)
            layers += [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]
            channels = outputs
        layers.append(nn.MaxPool2d(2))
    return layers, channels * (shape[1] // 32) * (shape[2] // 32)


def _scaled(size: int, width: float) -> int:
    if not width > 0:
        raise SettingError(f"width must be above 0, not {width}")
    return max(1, round(size * width))
