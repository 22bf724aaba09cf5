"""SE-SNN: a stochastic layer whose noise is kept large by max-entropy."""

from __future__ import annotations

import math

from torch import nn

from sfumato.robustness.defences.base import Defence, one_stochastic
from sfumato.train.entropy import MaxEntropyLoss

LOG_16 = math.log(16)
"""The margin of spec 4's appendix B.1; its section 4.2 says 16."""


def se_snn(
    model: nn.Module,
    layer: str | None = None,
    *,
    weight: float = 0.1,
    margin: float = LOG_16,
    scale: float | None = None,
) -> Defence:
    """A stochastic layer with max-entropy over elements (spec 4 §4.2, eq. 7).

    The paper's network is `sf.train.mlp((1, 28, 28), 10, (1024, 1024, 256))` with its third layer
    stochastic, ω = 0.1 and b = 16.

    Alone it defends against nothing: at b = 16 nats the logits grow until the cross-entropy gives
    an attacker no gradient, and an attacker who takes the margin between logits instead finds
    accuracy gone. Trained adversarially, `se_snn(model).against(Adversarial(0.3))`, it holds, and
    is no better than `plain(model).against(Adversarial(0.3))` (`docs/robustness.md`).

    Args:
        model: with linear layers or convolutions; it is copied.
        layer: the layer's name; the last hidden one when None.
        weight: ω.
        margin: b in nats: log 16 as in appendix B.1, or 16.0 as in §4.2.
        scale: where the layer's scale starts for every input; a kernel as random as the
            location's when None.

    Raises:
        SettingError: there is no such layer, or a negative weight.

    Example:
        >>> import torch, sfumato as sf
        >>> model = sf.train.mlp((1, 8, 8), 10, (32, 32, 16))
        >>> defence = se_snn(model)
        >>> defence.model(torch.zeros(2, 1, 8, 8)).shape
        torch.Size([2, 10])
    """
    made, _ = one_stochastic(model, layer, scale=scale)
    return Defence("SE-SNN", made, MaxEntropyLoss(weight, margin, "element"))
