"""The peers' layers, called as their own documentation says.

None of them is needed: where one is not installed its cell says so. `benchmarks/peers.txt` lists
the versions that the published figures were taken with.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from torch import Tensor, nn
from torch.distributions import Normal

from sfumato.bench.case import Absent, Candidate, Model

PACKAGES = ("bayesian-torch", "blitz-bayesian-pytorch", "torchbnn", "torch-uncertainty")

Call = Callable[[Tensor], Any]
Make = Callable[[], tuple[nn.Module, Call, Call]]
"""A layer, its call, and its call with the divergence: (output, KL)."""


def versions() -> dict[str, str | None]:
    """The installed version of every peer; None for one that is not there."""
    return {name: _version(name) for name in PACKAGES}


def linear(features: int, *, kl: bool) -> tuple[Candidate, ...]:
    """Bayesian fully connected layers, `features` to `features`."""
    size = (features, features)
    return (
        _peer("bayesian-torch Reparam.", partial(_intel, "LinearReparameterization", *size), kl),
        _peer("bayesian-torch Flipout", partial(_intel, "LinearFlipout", *size), kl),
        _peer("blitz", partial(_blitz, "BayesianLinear", *size), kl),
        _peer("torchbnn", partial(_torchbnn, "BayesLinear", *size), kl),
        _peer("torch-uncertainty", partial(_uncertain, "BayesLinear", *size), kl),
    )


def conv(channels: int, *, kl: bool) -> tuple[Candidate, ...]:
    """Bayesian 3x3 convolutions that keep the size, `channels` to `channels`."""
    size, same = (channels, channels), {"padding": 1}
    intel = {"kernel_size": 3, **same}
    return (
        _peer(
            "bayesian-torch Reparam.",
            partial(_intel, "Conv2dReparameterization", *size, **intel),
            kl,
        ),
        _peer("bayesian-torch Flipout", partial(_intel, "Conv2dFlipout", *size, **intel), kl),
        _peer("blitz", partial(_blitz, "BayesianConv2d", *size, (3, 3), **same), kl),
        _peer("torchbnn", partial(_torchbnn, "BayesConv2d", *size, 3, **same), kl),
        _peer("torch-uncertainty", partial(_uncertain, "BayesConv2d", *size, 3, **same), kl),
    )


def lstm(inputs: int, hidden: int, *, kl: bool) -> tuple[Candidate, ...]:
    """Bayesian LSTMs over `[B, T, inputs]`."""
    return (
        _peer("bayesian-torch", partial(_intel, "LSTMReparameterization", inputs, hidden), kl),
        _peer("blitz", partial(_blitz, "BayesianLSTM", inputs, hidden), kl),
    )


def gru(inputs: int, hidden: int, *, kl: bool) -> tuple[Candidate, ...]:
    """Bayesian GRUs over `[B, T, inputs]`; blitz alone has one."""
    return (_peer("blitz", partial(_blitz, "BayesianGRU", inputs, hidden), kl),)


def stochastic(name: str, base: type[nn.Module], event: int, **arguments: Any) -> Candidate:
    """A layer of torch-uncertainty that emits a normal law (`NormalLinear`, `NormalConvNd`)."""

    def make() -> Model:
        module = getattr(_torch_uncertainty("distributions"), name)(base, event, **arguments)
        return Model(module, lambda x: Normal(**module(x), validate_args=False).rsample())

    return Candidate(f"torch-uncertainty {name}", "peer", make)


def _peer(name: str, make: Make, kl: bool) -> Candidate:
    def model() -> Model:
        module, plain, with_kl = make()
        return Model(module, with_kl if kl else plain)

    return Candidate(name, "peer", model)


def _intel(name: str, *size: int, **arguments: Any) -> tuple[nn.Module, Call, Call]:
    """bayesian-torch: the layer returns (output, ..., KL) unless told not to."""
    layer = getattr(_package("bayesian_torch.layers"), name)(*size, **arguments)

    def plain(x: Tensor) -> Any:
        return _first(layer(x, return_kl=False))

    def with_kl(x: Tensor) -> Any:
        output, *_, kl = layer(x)
        return output, kl

    return layer, plain, with_kl


def _blitz(name: str, *size: Any, **arguments: Any) -> tuple[nn.Module, Call, Call]:
    """blitz: every call computes the divergence, and a function collects it."""
    layer = getattr(_package("blitz.modules"), name)(*size, **arguments)
    collect = _package("blitz.losses").kl_divergence_from_nn

    def plain(x: Tensor) -> Any:
        return _first(layer(x))

    return layer, plain, lambda x: (plain(x), collect(layer))


def _torchbnn(name: str, *size: int, **arguments: Any) -> tuple[nn.Module, Call, Call]:
    """torchbnn: the prior comes first, and a function walks the model for the divergence."""
    package = _package("torchbnn")
    layer = getattr(package, name)(0, 0.1, *size, **arguments)
    collect = package.functional.bayesian_kl_loss
    return layer, layer, lambda x: (layer(x), collect(layer))


def _uncertain(name: str, *size: int, **arguments: Any) -> tuple[nn.Module, Call, Call]:
    """torch-uncertainty: the layer keeps log q and log p of its draw."""
    layer = getattr(_torch_uncertainty("bayesian"), name)(*size, **arguments)

    def with_kl(x: Tensor) -> Any:
        return layer(x), layer.log_variational_posterior - layer.log_prior

    return layer, layer, with_kl


def _first(result: Any) -> Any:
    return result[0] if isinstance(result, tuple) else result


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = (error.name or name).partition(".")[0]
        own = missing == name.partition(".")[0]
        raise Absent("not installed" if own else f"needs {missing}") from error
    except ImportError as error:
        raise Absent(f"cannot be imported: {error}") from error


def _torch_uncertainty(part: str) -> Any:
    """A module of `torch_uncertainty.layers`, without the packages above it.

    Those import lightning and torchvision, which the layers themselves do not use.
    """
    found = None if "torch_uncertainty" in sys.modules else _find("torch_uncertainty")
    if found is None:
        return _package(f"torch_uncertainty.layers.{part}")
    (folder,) = found.submodule_search_locations or ("",)
    before = set(sys.modules)
    for name, place in (("", folder), (".layers", f"{folder}/layers")):
        hollow = types.ModuleType(f"torch_uncertainty{name}")
        hollow.__path__ = [place]
        sys.modules[hollow.__name__] = hollow
    try:
        return _package(f"torch_uncertainty.layers.{part}")
    finally:  # whoever imports the package itself must get the whole of it
        for name in set(sys.modules) - before:
            if name.partition(".")[0] == "torch_uncertainty":
                del sys.modules[name]


def _find(package: str) -> Any:
    try:
        return importlib.util.find_spec(package)
    except ValueError:  # someone has put a module there by hand
        return None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
