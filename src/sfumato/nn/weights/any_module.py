"""Any module with drawn weights, run through its own forward."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from operator import attrgetter
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.func import functional_call

from sfumato.errors import SettingError
from sfumato.nn.base import GAUSSIAN
from sfumato.nn.plain import add_missing, is_assigned
from sfumato.nn.weights.base import UNIT, BayesianModule, blocks_of, raw_blocks, start_scale
from sfumato.nn.weights.prior import PriorLike
from sfumato.noise import NoiseLaw


@final
class Bayesian(BayesianModule):
    """What `sfumato.nn.bayesian` returns: `module` with weights drawn once per call.

    The module's own parameters are the means (`module.*` in the state dict); `raws` holds the other
    blocks under the same names, with dots written as `/`. Attributes that this wrapper lacks are
    the module's.
    """

    def __init__(
        self,
        module: nn.Module,
        noise: NoiseLaw,
        names: Iterable[str] | None,
        prior: PriorLike,
        scale: float | None,
    ) -> None:
        super().__init__(noise, prior)
        self.module = module
        self.names = tuple(_chosen(module, names))
        raws: dict[str, nn.Parameter] = {}
        for name in self.names:
            location = module.get_parameter(name)
            usual = _tenth(location) if scale is None else 0.0
            raw = raw_blocks(location, noise, start_scale(noise, usual, scale))
            if raw is not None:
                raws[_key(name)] = raw
        self.raws = nn.ParameterDict(raws)
        self._padding = _padding_rows(module, self.names)

    def posterior(self) -> dict[str, tuple[Tensor, ...]]:
        raws: dict[str, Tensor] = dict(self.raws.items())
        # attrgetter, not get_parameter: under functional_call the parameters are plain tensors
        return {
            name: blocks_of(self.noise, attrgetter(name)(self.module), raws.get(_key(name)))
            for name in self.names
        }

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The module's own output under drawn weights; the arguments are the module's."""
        weights = self._weights(self.posterior())
        for name, row in self._padding.items():
            mean, drawn = attrgetter(name)(self.module), weights[name]
            here = torch.arange(len(mean), device=mean.device).unsqueeze(1) == row
            weights[name] = torch.where(here, mean, drawn)
        output = functional_call(self.module, weights, args, kwargs)
        self._forget()
        return output

    def _forget(self) -> None:
        """Recurrent modules keep a list of the weights of a call, and with them its graph."""
        for part in self.module.modules():
            if isinstance(part, nn.RNNBase):
                part._flat_weights = [getattr(part, name) for name in part._flat_weights_names]

    def extra_repr(self) -> str:
        """The law and the prior, for `print(module)`."""
        return f"noise={self.noise}, prior={self.prior}, names={len(self.names)}"

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            modules = self.__dict__.get("_modules", {})
            if name.startswith("__") or "module" not in modules:
                raise
            return getattr(modules["module"], name)

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        *args: Any,
        **kwargs: Any,
    ) -> None:
        # The plain module's own state dict has neither our prefix nor the raw blocks.
        keys = list(self.module.state_dict())
        whole = all(f"{prefix}module.{key}" in state_dict for key in keys)
        plain = [] if whole else [key for key in keys if prefix + key in state_dict]
        for key in reversed(plain):  # "module.weight" may be a plain key too: move it first
            state_dict[f"{prefix}module.{key}"] = state_dict.pop(prefix + key)
        if plain:
            own: dict[str, Tensor] = {f"raws.{k}": v for k, v in self.raws.items()}
            add_missing(state_dict, prefix, own, is_assigned(local_metadata))
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args, **kwargs)


def bayesian(
    module: nn.Module,
    noise: NoiseLaw = GAUSSIAN,
    names: Iterable[str] | None = None,
    prior: PriorLike = UNIT,
    *,
    scale: float | None = None,
) -> Bayesian:
    """Make the weights of any module distributions, drawn once per call (spec 1 §1.1.2, §1.2.2).

    The module runs through its own forward, torch's fused kernels included: LSTM, GRU,
    MultiheadAttention, TransformerEncoder, ConvTranspose, Embedding, LayerNorm, or a user's own.
    Its parameters are the means; it is used, not copied.

    Args:
        module: the module.
        noise: the law of the weights.
        names: parameters to draw, by name or pattern (`"weight_*"`); all of them when None.
        prior: as in `BayesianLinear`.
        scale: the scale at which all weights start; when None a tenth of each parameter's own root
            mean square, and twice the law's `min_scale` at least.

    Raises:
        SettingError: a name that matches nothing, no parameters at all, or lazy ones.

    Example:
        >>> import torch
        >>> lstm = bayesian(torch.nn.LSTM(3, 5, num_layers=2, bidirectional=True))
        >>> output, (h, c) = lstm(torch.zeros(7, 2, 3))
        >>> output.shape, lstm.kl().shape
        (torch.Size([7, 2, 10]), torch.Size([]))
    """
    return Bayesian(module, noise, names, prior, scale)


def _chosen(module: nn.Module, names: Iterable[str] | None) -> list[str]:
    known = dict(module.named_parameters())
    inner = [name for name, part in module.named_modules() if isinstance(part, BayesianModule)]
    if inner:
        raise SettingError(
            f"the module holds Bayesian layers already ({', '.join(inner) or 'itself'}), whose "
            "weights would be drawn twice: make either the layers or the whole Bayesian"
        )
    if any(isinstance(p, nn.UninitializedParameter) for p in known.values()):
        raise SettingError("the module's parameters are not made yet: run it on a record first")
    if isinstance(names, str):
        raise SettingError(f"names is a list of names or patterns: use [{names!r}]")
    patterns = ["*"] if names is None else list(names)
    if not patterns:
        raise SettingError("names is empty: nothing would be drawn; leave it out to draw all")
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in known):
            raise SettingError(
                f"no parameter of {type(module).__name__} is called {pattern!r}: "
                f"it has {', '.join(known) or 'none'}"
            )
    floating = {n for n, p in known.items() if torch.is_floating_point(p)}
    return [n for n in known if n in floating and any(fnmatchcase(n, p) for p in patterns)]


def _tenth(location: Tensor) -> float:
    """A tenth of the root mean square."""
    values = location.detach()
    if values.is_meta:
        raise SettingError("a module on the meta device has no values to start from: give scale")
    if not values.numel():
        return 0.0
    return 0.1 * float(values.square().mean().sqrt())


def _padding_rows(module: nn.Module, names: Iterable[str]) -> dict[str, int]:
    """The row of each drawn embedding that stands for padding: it stays what it is."""
    found = {
        f"{path}.weight" if path else "weight": part.padding_idx
        for path, part in module.named_modules()
        if isinstance(part, (nn.Embedding, nn.EmbeddingBag)) and part.padding_idx is not None
    }
    return {name: row for name, row in found.items() if name in names}


def _key(name: str) -> str:
    """The name under which a `ParameterDict` can hold it: without dots, none of its methods."""
    key = name.replace(".", "/")
    return f"{key}/" if hasattr(nn.ParameterDict, key) else key
