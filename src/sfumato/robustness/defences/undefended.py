"""No defence: what every other is held against."""

from __future__ import annotations

from torch import nn

from sfumato.robustness.defences.base import Defence


def plain(model: nn.Module) -> Defence:
    """The model as it is, trained with the cross-entropy.

    Args:
        model: gives logits.
    """
    return Defence("plain", model)
