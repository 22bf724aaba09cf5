"""Models as users bring them, small, in evaluation mode, each with the arguments of a call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import sfumato as sf

Built = tuple[nn.Module, tuple[Any, ...]]


class Block(nn.Module):
    """Two convolutions and a way around them."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            way = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(way, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        around = x if self.downsample is None else self.downsample(x)
        h = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(h + around)


class ResNet(nn.Module):
    """Eighteen layers: a stem, four stages of two blocks each, and a classifier."""

    def __init__(self, width: int = 8, classes: int = 5) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        inputs = width
        for stage in range(4):
            outputs = width * 2**stage
            blocks = Block(inputs, outputs, 1 if stage == 0 else 2), Block(outputs, outputs, 1)
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
            inputs = outputs
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        h = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in range(4):
            h = self.get_submodule(f"layer{stage + 1}")(h)
        return self.fc(self.avgpool(h).flatten(1))


class Tagger(nn.Module):
    """A recurrent layer and a Linear at every step; the final states come out too."""

    def __init__(self, recurrent: nn.RNNBase, classes: int = 4) -> None:
        super().__init__()
        self.rnn = recurrent
        directions = 2 if recurrent.bidirectional else 1
        width = directions * (recurrent.proj_size or recurrent.hidden_size)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Any]:
        output, state = self.rnn(x)
        return self.head(output), state


class Encoder(nn.Module):
    """Tokens, a transformer encoder of two layers, a class for every step."""

    def __init__(self, norm_first: bool, nested: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 8)
        layer = nn.TransformerEncoderLayer(
            8, 2, 16, dropout=0.0, batch_first=True, norm_first=norm_first
        )
        self.encoder = nn.TransformerEncoder(layer, 2, nn.LayerNorm(8), nested)
        self.head = nn.Linear(8, 4)

    def forward(self, tokens: Tensor, padding: Tensor) -> Tensor:
        h = self.encoder(self.embedding(tokens), src_key_padding_mask=padding)
        # Only steps that are there are read: a mask for padding leaves the others undefined.
        return self.head(h).masked_fill(padding[..., None], 0.0)


class Attending(nn.Module):
    """Attention between layers of a user's own, one of them with a parameter of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.scaled = Scaled(6)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.mixed = nn.Sequential(nn.LayerNorm(6), Scaled(6), nn.Linear(6, 3))

    def forward(self, x: Tensor) -> Tensor:
        h = self.scaled(x)
        return self.mixed(h + self.attention(h, h, h, need_weights=False)[0])


class Scaled(nn.Module):
    """A Linear with a learned factor."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.linear = nn.Linear(size, size)
        self.factor = nn.Parameter(torch.full((size,), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * self.linear(x)


def resnet() -> Built:
    """The convolutional one, with statistics in its batch norms that are not the initial ones."""
    model = ResNet()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            module.running_mean.normal_(0, 0.3)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
    return model.eval(), (torch.randn(2, 3, 33, 33),)


def tagger(kind: Any = nn.LSTM, **more: Any) -> Built:
    """A recurrent one of two layers in both directions."""
    settings = {"num_layers": 2, "bidirectional": True, "batch_first": True, **more}
    return Tagger(kind(6, 5, **settings)).eval(), (torch.randn(3, 7, 6),)


def encoder(norm_first: bool = False, nested: bool = False) -> Built:
    """The transformer, with a padded batch."""
    padding = torch.arange(7) >= torch.tensor([[7], [4], [1]])
    return Encoder(norm_first, nested).eval(), (torch.randint(11, (3, 7)), padding)


def attending() -> Built:
    """The one with attention of its own."""
    return Attending().eval(), (torch.randn(3, 5, 6),)


MODELS: dict[str, Callable[[], Built]] = {
    "ResNet": resnet,
    "LSTM": tagger,
    "LSTM, steps first": lambda: tagger(batch_first=False),
    "LSTM, no bias": lambda: tagger(bias=False),
    "GRU": lambda: tagger(nn.GRU),
    "encoder": encoder,
    "encoder, norm first": lambda: encoder(norm_first=True),
    "attention": attending,
}

CONVOLUTIONS: dict[str, Callable[[], nn.Module]] = {
    **{
        mode: lambda mode=mode: nn.Conv2d(4, 6, 3, padding=2, padding_mode=mode)
        for mode in ("zeros", "reflect", "replicate", "circular")
    },
    "same": lambda: nn.Conv2d(4, 6, (3, 2), padding="same", dilation=(1, 2)),
    "same, circular": lambda: nn.Conv2d(4, 6, 4, padding="same", padding_mode="circular"),
    "valid": lambda: nn.Conv2d(4, 6, 3, padding="valid"),
    "groups": lambda: nn.Conv2d(4, 6, 3, groups=2, bias=False),
    "depthwise": lambda: nn.Conv2d(4, 4, 3, groups=4),
    "stride and dilation": lambda: nn.Conv2d(4, 6, (2, 3), (2, 1), (1, 0), (1, 2)),
    "channels last": lambda: nn.Conv2d(4, 6, 3).to(memory_format=torch.channels_last),  # type: ignore[call-overload]
    "1d": lambda: nn.Conv1d(4, 6, 3, padding=1, padding_mode="reflect"),
    "3d": lambda: nn.Conv3d(4, 6, 2, stride=2),
}
TRANSPOSED: dict[str, Callable[[], nn.Module]] = {
    "transposed": lambda: nn.ConvTranspose2d(4, 6, 3, 2, padding=1, output_padding=1),
    "transposed, groups": lambda: nn.ConvTranspose1d(4, 6, 3, 3, output_padding=2, groups=2),
}


def picture_for(module: nn.Module) -> Tensor:
    """An input for a convolution with 4 channels."""
    axes = {"1": 1, "2": 2, "3": 3}[type(module).__name__[-2]]
    return torch.randn(2, 4, *(9, 8, 7)[:axes])


def mean_of(model: nn.Module, *args: Any) -> Any:
    """What the model gives without noise."""
    with sf.sampling(model, "mean"):
        return model(*args)


def tensors(output: Any) -> list[Tensor]:
    """All tensors of an output."""
    return [output] if isinstance(output, Tensor) else [t for part in output for t in tensors(part)]


def furthest(one: Any, other: Any) -> float:
    """The largest difference between two outputs of one structure."""
    pairs = zip(tensors(one), tensors(other), strict=True)
    return max(float((a - b).detach().abs().max()) for a, b in pairs)


def converted_to(dtype: torch.dtype, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments with real numbers in `dtype`."""
    return tuple(a.to(dtype) if a.is_floating_point() else a for a in args)
