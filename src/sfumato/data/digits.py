"""The embedded default that needs no file: scikit-learn's 1,797 handwritten digits."""

from __future__ import annotations

import torch

from sfumato.data.optional import needs
from sfumato.data.order import stratified_split
from sfumato.data.records import Records


def digits() -> tuple[Records, Records]:
    """The digits as `[N, 1, 8, 8]` in [0, 1]: a fixed, stratified split of 1,438 and 359 records.

    Returns:
        The training and the test records.

    Raises:
        MissingDependency: scikit-learn is not installed.
    """
    with needs("data"):
        from sklearn.datasets import load_digits
    pixels, labels = load_digits(return_X_y=True)
    inputs = torch.from_numpy(pixels).float().div(16).reshape(-1, 1, 8, 8)
    whole = Records(inputs, torch.from_numpy(labels).long(), tuple("0123456789"), "digits")
    train, test = stratified_split(whole.labels, 0.2)
    return whole.subset(train), whole.subset(test)
