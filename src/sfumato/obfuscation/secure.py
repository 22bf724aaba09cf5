"""Secure mode: cryptographic draws, no seed, a scale that is never below its floor."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, final

import torch
from torch import Tensor, nn

from sfumato.errors import DataError, SettingError
from sfumato.nn import Recording, SoftSelection, StochasticModule
from sfumato.nn.base import SamplingModule
from sfumato.nn.mode import sampling
from sfumato.nn.record import record
from sfumato.noise import LocationScale, NoiseLaw, Params
from sfumato.noise.source import TORCH, SourceName
from sfumato.placement.before import output_of
from sfumato.train.seed import inside_seeded


def source_for(secure: bool, asked: SourceName | None) -> SourceName:
    """Where the noise comes from: what is asked for, and in secure mode the operating system.

    Raises:
        SettingError: in secure mode another source is asked for.
    """
    if asked is None:
        return "os" if secure else "torch"
    if secure and asked != "os":
        raise SettingError(
            f"a secure obfuscator draws from the operating system's cryptographic source, not from "
            f"{asked!r}: leave source out"
        )
    return asked


@contextmanager
def guarded(layer: StochasticModule) -> Iterator[None]:
    """Draw inside the block from the operating system, and check afterwards what was drawn with.

    Raises:
        SettingError: a seed is set, another source was asked for, or a scale is below its law's
            floor, NaN or infinite.
        DataError: a location is NaN or infinite.
    """
    _check_unseeded(layer)
    with sampling(layer, "sample", source="os"), record(layer) as drawn:
        yield
    _check_drawn(layer, drawn)


def exportable(obfuscator: Any, *, labels: bool = True) -> nn.Module:
    """The obfuscator as a deterministic module with the noise as an input, for `torch.export`.

    A random node inside an exported graph replays one stream in every new session: two sessions
    subtract to the clean difference. This graph has none. Draw ε outside, once for each record and
    release: `layer.noise.draw(shape, source=...)` with `sfumato.noise.source("os")`.

    Args:
        obfuscator: a `sfumato.Obfuscator`; its parameters are shared, not copied.
        labels: the module takes `(x, labels, eps)`; else `(x, eps)`, under the learned selection.

    Raises:
        SettingError: the layer cannot take ε, the selection is a mixture (it draws a class), or
            none was learned.
    """
    if "eps" not in inspect.signature(obfuscator.layer.forward).parameters:
        raise SettingError(
            f"a {type(obfuscator.layer).__name__} does not take its noise as an input (eps)"
        )
    if labels:
        return _Labelled(obfuscator)
    selection = obfuscator.selection
    if isinstance(selection, SoftSelection) and selection.combine == "mixture":
        raise SettingError("a mixture draws a class for each record: that cannot be an input here")
    if obfuscator.num_classes is not None and selection is None:
        raise SettingError("this obfuscator has no selection for records without a label")
    return _Unlabelled(obfuscator)


@final
class _Labelled(nn.Module):
    """(x, labels, ε) -> release."""

    def __init__(self, obfuscator: Any) -> None:
        super().__init__()
        self.pre, self.layer = obfuscator.pre, obfuscator.layer
        self.conditional = obfuscator.num_classes is not None

    def forward(self, x: Tensor, labels: Tensor, eps: Tensor) -> Tensor:
        """The release that ε stands for."""
        values = output_of(self.pre, x)
        given = (values, labels) if self.conditional else (values,)
        return _sample(self.layer(*given, eps=eps))


@final
class _Unlabelled(nn.Module):
    """(x, ε) -> release under the learned selection."""

    def __init__(self, obfuscator: Any) -> None:
        super().__init__()
        self.pre, self.layer = obfuscator.pre, obfuscator.layer
        self.selection = obfuscator.selection if obfuscator.num_classes is not None else None

    def forward(self, x: Tensor, eps: Tensor) -> Tensor:
        """The release that ε stands for."""
        values = output_of(self.pre, x)
        if self.selection is None:
            return _sample(self.layer(values, eps=eps))
        soft = isinstance(self.selection, SoftSelection)
        pi = self.selection if soft else self.selection(values)
        return _sample(self.layer(values, pi, eps=eps))


def _sample(output: Any) -> Tensor:
    """Of a recurrent layer's (output, state) the output alone."""
    return output[0] if isinstance(output, tuple) else output


def refuse_tracing() -> None:
    """Raise a `SettingError` while a graph is being traced."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing():  # pyright: ignore[reportPrivateImportUsage]
        raise SettingError(
            "a secure obfuscator is not traced into a graph, where its noise would be frozen or "
            "replayed: export sfumato.obfuscation.exportable(obfuscator), which takes eps"
        )


def _check_unseeded(layer: StochasticModule) -> None:
    if inside_seeded():
        raise SettingError(
            "a secure obfuscator does not draw under a fixed seed: leave sfumato.train.seeded, or "
            "use obfuscator.rehearsal() for an experiment that nobody's records depend on"
        )
    for part in layer.modules():
        if isinstance(part, SamplingModule) and vars(part).get("source") is TORCH:
            raise SettingError(
                "a secure obfuscator does not draw from torch's generator, but it is inside "
                "sf.sampling(..., source='torch')"
            )


def _check_drawn(layer: StochasticModule, drawn: Recording) -> None:
    laws = {
        name or type(part).__name__: part.noise
        for name, part in layer.named_modules()
        if isinstance(part, StochasticModule)
    }
    if not drawn.params:
        raise SettingError(
            f"what a {type(layer).__name__} draws with cannot be seen: secure mode needs a layer "
            "that passes its sample on through sfumato's own layers"
        )
    for name, params in drawn.params.items():
        _check_params(laws[name], params)


def _check_params(law: NoiseLaw, params: Params) -> None:
    if law.located and not bool(torch.isfinite(params[0]).all()):
        raise DataError(
            "a location is NaN or infinite, and its release would show which record made it so: "
            "the parameters are damaged, or the records too large for them"
        )
    if not isinstance(law, LocationScale):
        return
    scale = params[1].detach()
    floor = torch.tensor(law.min_scale, dtype=scale.dtype)
    if not bool(((scale >= floor.to(scale.device)) & scale.isfinite()).all()):
        raise SettingError(
            f"a scale is below its floor of {law.min_scale:g}, NaN or infinite "
            f"({float(scale.min()):g} at least, {float(scale.max()):g} at most): nothing is "
            "released; the parameters are damaged, fit the obfuscator again"
        )
