"""What the options of `sfumato prune` name: a network, a measure of importance, a budget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from sfumato.cli.common.settings import model_factory, named
from sfumato.cli.prune.command import PruneOptions
from sfumato.compression import (
    Budget,
    Entropy,
    Importance,
    Magnitude,
    Taylor,
    TorchPruning,
)
from sfumato.errors import SettingError
from sfumato.train import lenet5, mlp, small_cnn, vgg16

BUILT_IN: dict[str, Callable[..., nn.Module]] = {
    "lenet5": lenet5,
    "vgg16": vgg16,
    "small_cnn": small_cnn,
    "mlp": mlp,
}
IMPORTANCES = ("taylor", "entropy", "magnitude", "tp-magnitude", "tp-taylor", "tp-group-norm")
TENTH = 0.1
"""Of the multiplications: the budget where none is given."""


def factory_of(name: str | None) -> Callable[..., Any]:
    """The factory of a built-in network, or of the user's.

    Raises:
        SettingError: there is none of that name.
    """
    if name is not None and ":" not in name and name not in BUILT_IN:
        raise SettingError(
            f"--model {name}: there are {', '.join(BUILT_IN)}, or module:factory of your own"
        )
    return BUILT_IN[name] if name in BUILT_IN else model_factory(name)


def importance_of(options: PruneOptions) -> Importance:
    """What --importance names.

    Raises:
        SettingError: there is none of that name, or it does not go with the other options.
    """
    name, per_cost = options.importance, options.per_cost
    if name == "entropy" and options.method == "plain":
        raise SettingError("--importance entropy needs stochastic layers: leave out --method plain")
    if ":" in name:
        found = named(name, "--importance")
        made = found() if isinstance(found, type) else found
        if not isinstance(made, Importance):
            raise SettingError(f"--importance {name}: it is no sfumato.compression.Importance")
        return made
    if name not in IMPORTANCES:
        raise SettingError(
            f"--importance {name}: there are {', '.join(IMPORTANCES)}, or module:name of your own"
        )
    if name.startswith("tp-"):
        kind: Any = name.removeprefix("tp-")
        return TorchPruning(kind, per_cost=per_cost)
    own: dict[str, Callable[..., Importance]]
    own = {"taylor": Taylor, "entropy": Entropy, "magnitude": Magnitude}
    return own[name](per_cost=per_cost)


def check_numbers(options: PruneOptions) -> None:
    """Tell of a number out of its range before any work is done.

    Raises:
        SettingError: there is one.
    """
    least = {"steps": 0, "at_once": 1, "patience": 1, "epochs": 1, "finish": 0}
    for name, bound in least.items():
        value = getattr(options, name)
        if value is not None and value < bound:
            raise SettingError(f"--{name} must be at least {bound}, not {value}")
    for name in ("multiplications", "parameters", "activations", "margin"):
        value = getattr(options, name)
        if value is not None and not 0 < value < float("inf"):
            raise SettingError(f"--{name} must be above 0, not {value}")
    for name in ("error", "more_error"):
        value = getattr(options, name)
        if value is not None and not 0 <= value < 1:
            raise SettingError(f"--{name} is a share of the records, in [0, 1), not {value}")
    if options.error is not None and options.more_error is not None:
        raise SettingError("give --error or --more_error, not both")


def budget_of(options: PruneOptions, before: dict[str, Any]) -> Budget:
    """The budget in absolute numbers."""
    sizes: dict[str, float] = {}
    for name in ("multiplications", "parameters", "activations"):
        value = getattr(options, name)
        if value is not None:
            sizes[name] = value * before[name] if value < 1 else value
    error = options.error
    if options.more_error is not None:
        error = before["validation_error"] + options.more_error
    if not sizes and error is None:
        sizes["multiplications"] = TENTH * before["multiplications"]
    return Budget(**sizes, error=error)
