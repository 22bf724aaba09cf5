"""From a gated network to a plain, smaller one."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sfumato.compression.counting import evaluating
from sfumato.compression.gates.network import GatedNetwork
from sfumato.compression.gates.places import Layer, Place
from sfumato.compression.kernels import kernel_of
from sfumato.compression.likeness import ROUNDING, distance, tensors_of
from sfumato.compression.removing import remove
from sfumato.errors import DataError, SettingError
from sfumato.train.seed import seeded


def remove_gated(model: nn.Module) -> nn.Module:
    """The plain network without the closed channels, the means of the others folded in.

    It is the function that `sf.sampling(model, "mean")` gives. Before a rectifier the mean goes
    into the filter (or into the batch norm behind it); elsewhere into the layers that read it. Of
    a layer whose gates are all closed the channel with the least α stays, with weights of zero.

    Args:
        model: a network made by `gated`.

    Returns:
        A network of the class that was gated; `model` is left as it is.

    Raises:
        SettingError: the network has no gates, torch-pruning cannot follow it, or it would become
            another function.
        DataError: a gate is NaN or infinite.
        MissingDependency: torch-pruning is not installed.
    """
    if not isinstance(model, GatedNetwork):
        raise SettingError(
            f"remove_gated takes what gated() made, not {type(model).__name__}: gates inside of "
            "another network cannot be taken out"
        )
    plain = copy.deepcopy(model.plain)
    closed: dict[str, Tensor] = {}
    with torch.no_grad():
        for name, place in model.places.items():
            gate = model.gate(name)
            if not bool(torch.isfinite(gate.location).all() & gate.log_variance.isfinite().all()):
                raise DataError(f"the gate after {name!r} is NaN or infinite: train it anew")
            closed[name] = _spared(gate.closed, gate.alpha)
            _fold(plain, place, gate.mean.masked_fill(gate.closed, 0.0))
    records = _some(plain, model.input_shape)
    _check_same(plain, model, records)
    return _smaller(plain, records, closed)


def _spared(closed: Tensor, alpha: Tensor) -> Tensor:
    """The channels to take away: not the last one."""
    if bool(closed.all()):
        closed = closed.clone()
        closed[alpha.argmin()] = False
    return closed


def _fold(plain: nn.Module, place: Place, mean: Tensor) -> None:
    layer = plain.get_submodule(place.layer)
    if place.folds_back:
        target = plain.get_submodule(place.norm) if place.norm else layer
        assert isinstance(target, Layer | _BatchNorm)
        for parameter in (target.weight, target.bias):
            if parameter is not None:
                parameter.mul_(_along(mean.to(parameter), parameter, 0))
        return
    for name in place.readers:
        reader = plain.get_submodule(name)
        assert isinstance(reader, Layer)
        # flattened, a channel is H x W neighbouring inputs
        spread = mean.repeat_interleave(reader.weight.shape[1] // len(mean))
        reader.weight.mul_(_along(spread.to(reader.weight), reader.weight, 1))


def _along(values: Tensor, like: Tensor, axis: int) -> Tensor:
    shape = [1] * like.dim()
    shape[axis] = len(values)
    return values.reshape(shape)


def _some(plain: nn.Module, input_shape: tuple[int, ...]) -> Tensor:
    """A few records at random."""
    first = next(p for p in plain.parameters() if p.is_floating_point())
    with seeded("gates"):
        return torch.randn(8, *input_shape, dtype=first.dtype, device=first.device)


def _check_same(plain: nn.Module, model: GatedNetwork, records: Tensor) -> None:
    """Raise a `SettingError` where the folded network is another function than the mean path."""
    with torch.no_grad(), evaluating(plain), evaluating(model):
        apart = distance(tensors_of(plain(records)), tensors_of(model(records)))
    if not apart <= ROUNDING:
        raise SettingError(
            f"with the means of its gates folded in the network is another one (outputs differ by "
            f"{apart:.2g}): a value that is gated is read in a way that gates cannot follow; gate "
            "other layers, gated(model, input_shape, names=[...])"
        )


def _smaller(plain: nn.Module, records: Tensor, closed: dict[str, Tensor]) -> nn.Module:
    gone = {name: channels.nonzero().flatten().tolist() for name, channels in closed.items()}
    gone = {name: channels for name, channels in gone.items() if channels}
    if not gone:
        return plain
    kernels = [name for name, part in plain.named_modules() if kernel_of(part) is not None]
    return remove(plain, records, gone, keep=[name for name in kernels if name not in gone])
