"""The explicit mode: sample, pass on the mean, or average n draws."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

from torch import Tensor, nn

from sfumato.errors import SettingError
from sfumato.nn.base import SamplingModule
from sfumato.nn.weights.base import BayesianModule
from sfumato.noise import Source, source
from sfumato.noise.source import SourceName

Mode = Literal["sample", "mean"] | int


@contextmanager
def sampling(
    module: nn.Module, mode: Mode = "sample", *, source: SourceName | Source | None = None
) -> Iterator[nn.Module]:
    """Set how the stochastic layers of `module` behave, inside the `with` block.

    `train()` and `eval()` never switch noise on or off; only this does.

    Args:
        module: a stochastic layer or any network that contains some.
        mode: `"sample"` (the default everywhere): pass on a fresh sample. `"mean"`: pass on the
            mean of the law; layers inside an `Obfuscator` go on sampling, always. An integer n:
            calls of `module` return the average of n independent passes, made in one batch, or
            one after the other where a batch shares its weights (Bayesian layers) or does not come
            first (`batch_first=False`).
        source: where ε comes from: `"torch"` (the global generator) or `"os"` (cryptographic).

    Yields:
        `module` itself.

    Raises:
        SettingError: an unknown mode, n below 1, or a mean or an average over draws asked of an
            obfuscator.

    Example:
        >>> import torch, sfumato as sf
        >>> layer = sf.nn.StochasticLinear(3, 2)
        >>> with sf.sampling(layer, "mean"):
        ...     same = bool((layer(torch.ones(1, 3)) == layer(torch.ones(1, 3))).all())
        >>> same
        True
    """
    draws = mode if isinstance(mode, int) and not isinstance(mode, bool) else 0
    if mode not in ("sample", "mean") and draws < 1:
        raise SettingError(f"unknown mode {mode!r}: use 'sample', 'mean' or a number of draws")
    if (mode == "mean" or draws > 1) and getattr(module, "always_samples", False):
        raise SettingError(
            "an obfuscator never passes on the mean, nor an average over draws: one record, one "
            "release, one draw"
        )
    always = {} if source is None else {"source": _source(source)}
    changes = {"mode": "mean" if mode == "mean" else "sample", **always}
    with ExitStack() as stack:
        for layer, obfuscates in _layers(module):
            keep = obfuscates and mode == "mean"
            stack.enter_context(_changed(layer, always if keep else changes))
        if draws > 1:
            average = _averaged if _takes_more_records(module) else _averaged_passes
            stack.enter_context(average(module, draws))
        yield module


_source = source  # the keyword argument of `sampling` hides the function of that name


def _layers(module: nn.Module, obfuscates: bool = False) -> Iterator[tuple[SamplingModule, bool]]:
    """Every layer that draws, and whether it is part of an obfuscator."""
    obfuscates = obfuscates or getattr(module, "always_samples", False)
    if isinstance(module, SamplingModule):
        yield module, obfuscates
    for child in module.children():
        yield from _layers(child, obfuscates)


def _takes_more_records(module: nn.Module) -> bool:
    """Whether repeated records in a batch are independent passes."""
    return not any(
        isinstance(part, BayesianModule) or getattr(part, "batch_first", True) is False
        for part in module.modules()
    )


@contextmanager
def _changed(layer: SamplingModule, changes: dict[str, Any]) -> Iterator[None]:
    before = {name: vars(layer)[name] for name in changes if name in vars(layer)}
    vars(layer).update(changes)
    try:
        yield
    finally:
        for name in changes:
            vars(layer).pop(name, None)
        vars(layer).update(before)


@contextmanager
def _averaged(module: nn.Module, draws: int) -> Iterator[None]:
    """Repeat every record `draws` times on the way in and average on the way out."""

    def repeat(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        tensors = [a for a in (*args, *kwargs.values()) if isinstance(a, Tensor) and a.dim()]
        if not tensors:
            raise SettingError("draws are averaged over a batch, but the call has no tensor")
        batch = tensors[0].shape[0]

        def wide(value: Any) -> Any:
            fits = isinstance(value, Tensor) and value.dim() and value.shape[0] == batch
            return value.repeat_interleave(draws, 0) if fits else value

        return tuple(wide(a) for a in args), {k: wide(v) for k, v in kwargs.items()}

    def average(_: nn.Module, __: Any, output: Any) -> Tensor:
        return _tensor(output).unflatten(0, (-1, draws)).mean(1)

    handles = (
        module.register_forward_pre_hook(repeat, with_kwargs=True),
        module.register_forward_hook(average),
    )
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _averaged_passes(module: nn.Module, draws: int) -> Iterator[None]:
    """Call the module `draws` times and average what comes out."""

    def average(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Tensor:
        total = _tensor(output)
        for _again in range(draws - 1):
            total = total + module.forward(*args, **kwargs)
        return total / draws

    handle = module.register_forward_hook(average, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def _tensor(output: Any) -> Tensor:
    if not isinstance(output, Tensor):
        raise SettingError(f"only a tensor can be averaged over draws, not {type(output).__name__}")
    return output
