"""LeNet-5 as Caffe has it, the usual measure of compression on MNIST."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from sfumato.errors import SettingError


def lenet5(
    shape: Sequence[int] = (1, 28, 28),
    num_classes: int = 10,
    widths: Sequence[int] = (20, 50, 500),
) -> nn.Module:
    """Two 5 x 5 convolutions without padding and two fully connected layers (spec 4 §4.1).

    On MNIST 431,080 parameters and 2.293 million multiplications. Caffe has no ReLU after its
    convolutions; here each hidden layer has one, because pruning looks for neurons that never fire.

    Args:
        shape: of one record, (channels, H, W), H and W at least 16.
        num_classes: number of classes.
        widths: channels of the two convolutions and neurons of the hidden layer.

    Returns:
        A network from `[B, *shape]` to logits `[B, num_classes]`.

    Raises:
        SettingError: records or widths of another shape.
    """
    if len(shape) != 3 or min(shape[1:]) < 16:
        raise SettingError(f"LeNet-5 takes pictures of at least 16 x 16 pixels, not {tuple(shape)}")
    if len(widths) != 3 or min(widths) < 1:
        raise SettingError(f"LeNet-5 has three hidden widths above 0, not {tuple(widths)}")
    first, second, hidden = widths
    height, width = (((size - 4) // 2 - 4) // 2 for size in shape[1:])
    return nn.Sequential(
        nn.Conv2d(shape[0], first, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(first, second, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(second * height * width, hidden), nn.ReLU(),
        nn.Linear(hidden, num_classes),
    )  # fmt: skip
