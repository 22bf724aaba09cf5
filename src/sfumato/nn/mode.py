"""The explicit mode: sample, pass on the mean, or average n draws."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal, final

from torch import Tensor, nn

from sfumato.errors import SettingError
from sfumato.nn.base import SamplingModule
from sfumato.noise import Source, source
from sfumato.noise.base import at_least_float32
from sfumato.noise.source import SourceName

Mode = Literal["sample", "mean"] | int
Arguments = tuple[tuple[Any, ...], dict[str, Any]]


@contextmanager
def sampling(
    module: nn.Module, mode: Mode = "sample", *, source: SourceName | Source | None = None
) -> Iterator[nn.Module]:
    """Set how the stochastic layers of `module` behave, inside the `with` block.

    `train()` and `eval()` never switch noise on or off; only this does. Blocks nest, and the
    innermost decides. A copy made inside the block keeps what the block has set.

    Args:
        module: a stochastic layer or any network that contains some.
        mode: `"sample"` (the default everywhere): pass on a fresh sample. `"mean"`: pass on the
            mean of the law; layers inside an `Obfuscator` go on sampling, always. An integer n:
            every call of `module` makes n calls, hooks included, and returns the average of what
            they give. They are made one after the other, never as one larger batch: what else a
            call takes (masks, states, labels) and whether records come first, only the module
            knows.
        source: where ε comes from: `"torch"` (the global generator) or `"os"` (cryptographic).

    Yields:
        `module` itself.

    Raises:
        SettingError: an unknown mode, n below 1, a mean asked of an obfuscator, or an average over
            draws of an obfuscator or of a network with one inside.

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
    if (mode == "mean" and _always_samples(module)) or (
        draws > 1 and any(map(_always_samples, module.modules()))
    ):
        raise SettingError(
            "an obfuscator never passes on the mean, nor an average over draws: one record, one "
            "release, one draw; average over the model behind it instead"
        )
    always = {} if source is None else {"source": _source(source)}
    changes = {"mode": "mean" if mode == "mean" else "sample", **always}
    if draws > 1:
        changes["draws"] = draws
    with ExitStack() as stack:
        for layer, obfuscates in _layers(module):
            keep = obfuscates and mode == "mean"
            stack.enter_context(_changed(layer, always if keep else changes))
        if draws > 1 or _averages(module):
            stack.enter_context(_averaged(module, max(draws, 1)))
        yield module


def modes_of(module: nn.Module) -> dict[str, str]:
    """What `sampling` has set inside of a module: by the path of each part, JSON values."""
    found = {}
    for name, part in module.named_modules():
        draws = [average.draws for average in _averages(part)]
        if isinstance(part, SamplingModule) or draws:
            mode = part.mode if isinstance(part, SamplingModule) else ""
            found[name] = " ".join(map(str, [mode, *draws])).strip()
    return found


_source = source  # the keyword argument of `sampling` hides the function of that name


def _always_samples(module: nn.Module) -> bool:
    return getattr(module, "always_samples", False)


def _layers(module: nn.Module, obfuscates: bool = False) -> Iterator[tuple[SamplingModule, bool]]:
    """Every layer that draws, and whether it is part of an obfuscator."""
    obfuscates = obfuscates or _always_samples(module)
    if isinstance(module, SamplingModule):
        yield module, obfuscates
    for child in module.children():
        yield from _layers(child, obfuscates)


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


class _Calls(threading.local):
    """The calls that this thread is averaging, by the id of the module."""

    given: dict[int, Arguments] = {}  # noqa: RUF012 - replaced, never changed
    """What each was called with, before any hook changed it."""
    inner: tuple[int, ...] = ()
    """Whose further passes are being made: these are not averaged again."""


_calls = _Calls()


@final
class _Average:
    """A hook after which a call of a module is the average of `draws` passes.

    It knows of no module but the one that calls it, so that copies of that average themselves.
    """

    def __init__(self, draws: int) -> None:
        self.draws = draws

    def start(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Keep the arguments of a call: the first hook before it."""
        if self._decides(module):
            _calls.given = {**_calls.given, id(module): (args, kwargs)}

    def __call__(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any
    ) -> Any:
        if not self._decides(module):
            return output
        args, kwargs = _calls.given.get(id(module), (args, kwargs))
        _forget(module)
        dtype, total = _tensor(output).dtype, at_least_float32(_tensor(output))
        _calls.inner = (*_calls.inner, id(module))
        try:
            for _ in range(self.draws - 1):
                total = total + module(*args, **kwargs)
        finally:
            _calls.inner = tuple(each for each in _calls.inner if each != id(module))
        average = total / self.draws
        return average.to(dtype) if dtype.is_floating_point else average

    def _decides(self, module: nn.Module) -> bool:
        return id(module) not in _calls.inner and _averages(module)[-1] is self


def _averages(module: nn.Module) -> list[_Average]:
    """The averages that `module` is under, the innermost last."""
    return [hook for hook in module._forward_hooks.values() if isinstance(hook, _Average)]


def _forget(module: nn.Module) -> None:
    _calls.given = {key: value for key, value in _calls.given.items() if key != id(module)}


@contextmanager
def _averaged(module: nn.Module, draws: int) -> Iterator[None]:
    average = _Average(draws)
    handles = (
        module.register_forward_pre_hook(average.start, prepend=True, with_kwargs=True),
        module.register_forward_hook(average, with_kwargs=True),
    )
    try:
        yield
    finally:
        _forget(module)  # of a call that raised
        for handle in handles:
            handle.remove()


def _tensor(output: Any) -> Tensor:
    if not isinstance(output, Tensor):
        raise SettingError(f"only a tensor can be averaged over draws, not {type(output).__name__}")
    return output
