"""A trained model with some of its layers made stochastic or Bayesian."""

from __future__ import annotations

import copy

from torch import nn

from sfumato.errors import SettingError
from sfumato.nn.base import GAUSSIAN
from sfumato.nn.bound import BoundLike
from sfumato.nn.weights.base import UNIT
from sfumato.nn.weights.estimators import Estimator
from sfumato.nn.weights.prior import PriorLike
from sfumato.noise import NoiseLaw
from sfumato.placement.plan import planned
from sfumato.placement.settings import Make, Setting, Spec
from sfumato.placement.ties import retie
from sfumato.placement.twins import KERNELS, torch_type, twin


def convert(
    model: nn.Module,
    spec: Spec,
    *,
    noise: NoiseLaw = GAUSSIAN,
    bound: BoundLike = None,
    prior: PriorLike = UNIT,
    estimator: Estimator = "auto",
    scale: float | None = None,
) -> nn.Module:
    """A copy of a trained model in which some layers are stochastic or Bayesian.

    At zero noise it is the same function: `sfumato.sampling(copy, "mean")` gives what the model
    gives. The model is left as it is.

    A key is the exact name of a module (`""` is the model itself), which must be convertible, or a
    pattern (`"layer4.*"`, `"*"`; `*` matches dots too), which picks the layers that can be changed
    among those it matches. An exact name decides before patterns, of several patterns the last.

    - `"stochastic"`: `nn.Linear`, `nn.Conv1d/2d/3d`, `nn.LSTM`, `nn.GRU` and
      `nn.TransformerEncoderLayer` pass on a sample. The last is one layer: what is inside it, or
      inside `nn.MultiheadAttention`, is not changed apart.
    - `"bayesian"`: the weights are drawn. An exact name may be any module with parameters, changed
      as a whole; a pattern picks the largest layers that are no containers.
    - a dict: `{"kind": "stochastic", "noise": ..., "bound": ..., "scale": ...}` or
      `{"kind": "bayesian", "noise": ..., "prior": ..., "estimator": ..., "scale": ...}`.
    - a function that takes the copy's layer and returns what stands in its place, as it is; a
      pattern picks for it what it picks for `"bayesian"`.
    - None: the layer stays as it is (for a container and all in it, `"encoder.*"`).

    Args:
        model: the trained model.
        spec: layers by name or pattern.
        noise: the law, one whose mean is its location.
        bound: clamp the location of stochastic layers to (low, high).
        prior: of Bayesian layers.
        estimator: of Bayesian `nn.Linear` and `nn.ConvNd`.
        scale: where scales start: for stochastic layers in units of their output, 0.1 when None;
            for Bayesian ones in units of the weights, about a tenth of their size when None.

    Raises:
        SettingError: `sfumato.check` finds an error; the message lists all of them.

    Example:
        >>> import torch, sfumato as sf
        >>> model = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.Tanh())
        >>> noisy = sf.convert(model, {"0": "stochastic"})
        >>> x = torch.ones(2, 8)
        >>> with sf.sampling(noisy, "mean"):
        ...     bool(torch.equal(noisy(x), model(x)))
        True
    """
    usual = {"noise": noise, "bound": bound, "prior": prior, "estimator": estimator, "scale": scale}
    plan = planned(model, spec, usual)
    if plan.errors:
        lines = "\n".join(f"  {error!r}" for error in plan.errors)
        raise SettingError(f"the model was not changed, see sfumato.check:\n{lines}")
    clone = copy.deepcopy(model)
    for module in clone.modules():
        if isinstance(module, nn.RNNBase):
            module.flatten_parameters()  # copies lie apart, which cuDNN warns of at every call
    inside = dict(clone.named_modules(remove_duplicate=False))
    made: dict[nn.Module, nn.Module] = {}
    shared: dict[nn.Module, nn.Module] = {}
    for module, rule in plan.targets.items():
        plain = inside[plan.names[module][0]]
        made[plain] = _made(plain, rule.key, rule.value)
        if rule.kind == "stochastic" and torch_type(plain) in KERNELS:
            shared[plain] = made[plain]
    retie(shared)
    return _exchanged(clone, made)


def _made(plain: nn.Module, key: str, value: Setting | Make | None) -> nn.Module:
    if isinstance(value, Setting):
        return twin(plain, value)
    put = value(plain) if value is not None else plain
    if not isinstance(put, nn.Module):
        raise SettingError(f"the function of {key!r} must return a module, not {put!r}")
    return put


def _exchanged(model: nn.Module, made: dict[nn.Module, nn.Module]) -> nn.Module:
    """`model` with every key of `made` exchanged, wherever it stands."""
    for module in list(model.modules()):
        for name, child in list(module._modules.items()):
            if child in made:
                module._modules[name] = made[child]
    return made.get(model, model)
