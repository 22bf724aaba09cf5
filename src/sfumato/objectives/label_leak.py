"""How much of the label the noise itself tells."""

from __future__ import annotations

from torch import Tensor
from torch.distributions import Distribution, kl_divergence


def label_leak(own: Distribution, other: Distribution) -> Tensor:
    """KL(law of x under its own label ‖ law of the same x under another label), in nats.

    Label-conditional noise writes the label into the release. Summed over the elements of a
    record and averaged over records, this bounds how well anyone, the trained model too, can tell
    the two labels apart without looking at the picture: below about 1 nat a constant image gives
    nothing away; beyond it a model learns to read the noise instead of the picture.

    Args:
        own: the law of a batch of releases, `[N, ...]`.
        other: the law of the same records under other labels.

    Returns:
        A scalar.
    """
    return kl_divergence(own, other).flatten(1).sum(1).mean()
