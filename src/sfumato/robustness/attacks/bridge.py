"""Foolbox behind the contract of an attack."""

from __future__ import annotations

import warnings
from typing import Any

from torch import Tensor

from sfumato.errors import MissingDependency
from sfumato.robustness.attacks.gradient import slope
from sfumato.robustness.draws import ExpectedModel


def foolbox_package() -> Any:
    """The package.

    Raises:
        MissingDependency: foolbox is not installed.
    """
    try:
        with warnings.catch_warnings():
            # what foolbox imports of scipy is deprecated there
            warnings.simplefilter("ignore", DeprecationWarning)
            import foolbox
    except ImportError as error:
        raise MissingDependency(
            'this attack needs foolbox: pip install "sfumato[defend]"'
        ) from error
    return foolbox


def wrapped(
    model: ExpectedModel, x: Tensor, labels: Tensor, bounds: tuple[float, float]
) -> tuple[Any, Any]:
    """The model, averaged over its draws, and the criterion, as foolbox takes them."""
    package = foolbox_package()
    native = package.PyTorchModel(model, bounds=bounds, device=x.device)
    return native, package.criteria.Misclassification(labels)


def ascend(
    native: Any,
    model: ExpectedModel,
    x: Tensor,
    labels: Tensor,
    loss: str,
    epsilon: float,
    bounds: tuple[float, float],
) -> Tensor:
    """Run a gradient attack of foolbox's on the expected loss over the model's draws.

    Foolbox asks its attack for value and gradient of the loss; ours gives those of one batched
    forward, and leaves the parameters' gradients alone.
    """
    from eagerpy.astensor import astensor

    def value_and_grad(_: Any, at: Any) -> tuple[Any, Any]:
        found = slope(model, at.raw, labels, loss)
        return astensor(found.value.sum()), astensor(found.gradient)

    native.value_and_grad = value_and_grad
    attacked, criterion = wrapped(model, x, labels, bounds)
    return native.run(attacked, x, criterion, epsilon=epsilon)
