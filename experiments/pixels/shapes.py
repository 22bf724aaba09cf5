"""What the chosen pixels look like all together: at the border, in a lattice, always the same."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def shape_of(masks: Tensor, bought: Tensor) -> dict[str, Any]:
    """Figures of the masks `[N, 1, H, W]` of a set of pictures, as JSON values.

    Args:
        masks: of exactly k pixels.
        bought: what is bought where there is a price in place of a budget; else the same.

    Returns:
        `border`, the share of the choices in the outermost rows and columns, and `border_uniform`,
        that share of all pixels; `lattice`, the share of the choices that the fullest of the four
        classes (row, column) modulo 2 holds, a quarter if they are spread; `distinct`, how many
        different pixels were chosen in any picture; `empty`, the share of the pictures of which
        nothing is bought; `often`, `[H][W]`, in which share of the pictures a pixel was chosen.
    """
    chosen = masks[:, 0] > 0.5
    often = chosen.double().mean(0)
    height, width = often.shape
    edge = torch.ones(height, width, dtype=torch.bool)
    edge[1:-1, 1:-1] = False
    total = float(often.sum())
    classes = [float(often[row::2, column::2].sum()) for row in (0, 1) for column in (0, 1)]
    return {
        "border": float(often[edge].sum()) / total if total else None,
        "border_uniform": float(edge.double().mean()),
        "lattice": max(classes) / total if total else None,
        "distinct": int((often > 0).sum()),
        "empty": float((bought.flatten(1).amax(1) < 0.5).double().mean()),
        "often": [[round(float(each), 4) for each in row] for row in often],
    }
