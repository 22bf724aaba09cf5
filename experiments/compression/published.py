"""The rows of the paper's tables 1 to 3 (spec 4 §4.1), with those that it cites."""

from __future__ import annotations

from typing import Any

# Method, model size %, MFLOP, memory %, error %; None where the paper gives no figure.
Line = tuple[str, float, float, float | None, float]

_LENET: tuple[Line, ...] = (
    ("GD", 1.38, 0.250, 32.00, 1.1),
    ("GL", 23.69, 0.201, 19.35, 1.0),
    ("VD", 9.29, 0.660, 60.78, 1.0),
    ("SBP", 19.66, 0.213, 21.15, 0.9),
    ("BC-GNJ", 0.95, 0.283, 35.03, 1.0),
    ("BC-GHS", 0.64, 0.153, 22.80, 1.0),
    ("L0", 8.92, 1.113, 85.82, 0.9),
    ("L0-sep", 1.08, 0.389, 40.36, 1.0),
    ("VIBNet", 0.83, 0.094, 15.55, 1.0),
    ("SE-SNN", 2.35, 0.061, 11.08, 0.9),
)
_VGG16: tuple[Line, ...] = (
    ("BC-GNJ", 6.57, 141.50, 81.68, 8.6),
    ("BC-GHS", 5.40, 121.90, 74.82, 9.0),
    ("VIBNet", 5.30, 70.63, 49.57, 8.8),
    ("VIBNet, fine-tuned", 5.30, 70.63, 49.57, 8.5),
    ("SE-SNN", 2.57, 53.61, 49.41, 8.0),
)
_VGG_VARIANT: tuple[Line, ...] = (
    ("NS-Single", 24.90, 250.50, None, 26.5),
    ("NS-Best", 20.80, 214.80, None, 26.0),
    ("VIBNet", 15.08, 203.10, 73.80, 25.9),
    ("VIBNet, fine-tuned", 15.08, 203.10, 73.80, 25.7),
    ("SE-SNN", 14.93, 181.31, 70.16, 26.2),
)
TABLES = {"lenet5": _LENET, "vgg16": _VGG16, "vgg_convolutional": _VGG_VARIANT}


def published(name: str | None) -> list[dict[str, Any]]:
    """The rows of one of the tables; none without a name."""
    keys = ("method", "size", "mflop", "memory", "error")
    return [dict(zip(keys, line, strict=True)) for line in TABLES[name]] if name else []
