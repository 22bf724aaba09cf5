"""The obfuscator: what stands between a record and the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from sfumato.errors import DataError, SettingError
from sfumato.nn.base import SamplingModule, StochasticModule
from sfumato.nn.mode import sampling
from sfumato.nn.weights.base import BayesianModule
from sfumato.nn.wrapped import Stochastic
from sfumato.noise.source import SourceName
from sfumato.obfuscation.secure import guarded, refuse_tracing, source_for
from sfumato.placement.before import output_of


@final
class Obfuscator(nn.Module):
    """x -> pre -> layer under a selection -> release (spec 3 §3 and §5.1).

    `obf(x)` is for inference, where the label is unknown: it takes the learned selection.
    `obf.release(x, labels)` is for training records, whose label is known. Both always sample:
    `train()`, `eval()` and `sf.sampling(model, "mean")` never switch the noise off.

    Of a recurrent layer only the sampled sequence is released; its clean state stays inside. So
    does the state of a recurrent `pre`.

    Args:
        layer: a conditional layer; an unconditional stochastic layer ignores labels.
        selection: a `SoftSelection`, or any module that maps the layer's input to π `[B, C, ...]`
            (an input-dependent gate); None while it is not learned yet.
        pre: the regular layers L before it; none when it is None.
        secure: draw from the operating system's cryptographic source only, never under a fixed
            seed or inside a traced graph, and check every draw's scale against its floor. Fit
            first, then make it secure: `Obfuscator(o.layer, o.selection, o.pre, secure=True)`.

    Raises:
        SettingError: the layer is none of sfumato's, draws nothing, or draws weights (records of a
            batch would share them); something else than the layer draws, so that `distribution`
            would not be the law of a release; or a part takes time first.

    Example:
        >>> import torch, sfumato as sf
        >>> obf = sf.Obfuscator(sf.nn.ConditionalConv2d(10, 1, 1, 3, padding=1))
        >>> obf.release(torch.rand(2, 1, 8, 8), torch.tensor([3, 7])).shape
        torch.Size([2, 1, 8, 8])
    """

    always_samples = True

    def __init__(
        self,
        layer: StochasticModule,
        selection: nn.Module | None = None,
        pre: nn.Module | None = None,
        *,
        secure: bool = False,
    ) -> None:
        super().__init__()
        _check_parts(layer, selection, pre)
        self.pre = nn.Identity() if pre is None else pre
        self.layer = layer
        self.selection = selection
        self.secure = secure

    @property
    def num_classes(self) -> int | None:
        """The number of categories, or None where the layer is not conditional."""
        return getattr(self.layer, "num_classes", None)

    def forward(self, x: Tensor) -> Tensor:
        """Obfuscate records whose label is unknown, one fresh draw for each.

        Raises:
            SettingError: the layer is conditional and no selection was learned, or the layer is
                told to pass on its mean or an average; in secure mode what `release` says.
            DataError: NaN or infinity in `x`, or a wrong shape.
        """
        if self.secure:
            refuse_tracing()
        check_finite(x)
        if any(part.mode != "sample" for part in _drawing(self.layer)):
            raise SettingError("an obfuscator never passes on the mean: that is nearly the record")
        self._check_draws()
        return self.obfuscate(x, None)

    def distribution(self, x: Tensor, selection: Any = None) -> Distribution:
        """The law of the release of `x`, under `selection` or under the learned one."""
        return self.layer.distribution(*self._inputs(x, selection))

    def obfuscate(self, x: Tensor, selection: Any) -> Tensor:
        """As `release`, but with gradients and without checks of `x`: what `sf.fit` trains.

        Raises:
            SettingError: in secure mode what `release` says.
        """
        if not self.secure:
            return output_of(self.layer, *self._inputs(x, selection))
        refuse_tracing()
        self._check_draws()
        with guarded(self.layer):
            return output_of(self.layer, *self._inputs(x, selection))

    @torch.no_grad()
    def release(self, x: Tensor, labels: Tensor, *, source: SourceName | None = None) -> Tensor:
        """One obfuscated copy of each record, under its own label.

        A record released twice is two releases: averaging K of them divides the noise by √K.

        Args:
            x: `[B, ...]`.
            labels: `[B]`, or a class map or mask as the layer takes them.
            source: where the noise comes from: `"torch"` or `"os"` (cryptographic); by default
                torch's generator, and `"os"` in secure mode.

        Returns:
            The releases, without gradient.

        Raises:
            SettingError: the layer is told to pass on an average over draws. In secure mode: a
                fixed seed or torch's source, a traced graph, a scale below its floor.
            DataError: NaN or infinity, wrong shapes, a class that does not exist.
        """
        source = source_for(self.secure, source)
        if self.secure:
            refuse_tracing()
        check_finite(x)
        self._check_draws()
        if self.secure:
            return self.obfuscate(x, labels)
        with sampling(self, "sample", source=source):
            return self.obfuscate(x, labels)

    def rehearsal(self) -> Obfuscator:
        """The same layers without secure mode, for audits: an attacker may seed the own draws."""
        return Obfuscator(self.layer, self.selection, self.pre) if self.secure else self

    def digest(self) -> str:
        """SHA-256 over the layers' settings and weights: equal obfuscators have equal digests.

        Of modules of your own the class's name, plain attributes and buffers count as well. Not
        their code, and not what has no description of its own, such as a function or a hook:
        an obfuscator that holds one counts as never audited.
        """
        from sfumato.obfuscation.fingerprint import digest_of

        return digest_of(self)

    def save(self, path: str | Path) -> Path:
        """Write the folder `path`: weights as safetensors, settings as JSON, never pickle.

        Raises:
            OutputError: the folder cannot be written, or the disk is full.
        """
        from sfumato.obfuscation.store import save

        return save(self, Path(path))

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        layer: StochasticModule | None = None,
        selection: nn.Module | None = None,
        pre: nn.Module | None = None,
        unaudited_ok: bool = False,
    ) -> Obfuscator:
        """Read what `save` wrote; no code from the file is run.

        Warns with an `UnauditedWarning` unless the folder holds the privacy card of just this
        obfuscator, unchanged and trusted. A card has a checksum and no signature: whoever means
        to deceive can write one.

        Args:
            path: the folder.
            layer: needed only where the layer is not one of sfumato's.
            selection: needed only where the selection is a gate of your own.
            pre: the regular layers, needed only where they are not of a kind that the file can
                describe (linear, convolution, pooling, flatten, clipping in sequence).
            unaudited_ok: do not warn.

        Raises:
            StoreError: a file is missing, truncated, changed, or does not fit what is given.
        """
        from sfumato.obfuscation.audited import warn_unless_audited
        from sfumato.obfuscation.store import load

        obfuscator = load(Path(path), layer, selection, pre)
        if not unaudited_ok:
            warn_unless_audited(Path(path), obfuscator)
        return obfuscator

    def _check_draws(self) -> None:
        if any(part.draws > 1 for part in _drawing(self.layer)):
            raise SettingError(
                "an obfuscator passes on one draw, but its layer is inside sf.sampling(..., n): "
                "an average over n draws has 1 / √n of the noise"
            )

    def _inputs(self, x: Tensor, selection: Any) -> tuple[Any, ...]:
        x = output_of(self.pre, x)
        if self.num_classes is None:
            return (x,)
        if selection is None:
            selection = self._learned(x)
        return x, selection

    def _learned(self, x: Tensor) -> Any:
        from sfumato.nn import SoftSelection

        if self.selection is None:
            raise SettingError(
                "this obfuscator has no selection for records without a label: learn one with "
                "sf.fit, or use release(x, labels)"
            )
        return self.selection if isinstance(self.selection, SoftSelection) else self.selection(x)


def check_finite(x: Tensor) -> None:
    """Raise a `DataError` if a record holds NaN or infinity: its release would show where."""
    if not bool(torch.isfinite(x).all()):
        bad = (~torch.isfinite(x.flatten(1))).any(1).nonzero().flatten().tolist()
        raise DataError(
            f"{len(bad)} of {len(x)} records hold NaN or infinity (the first is number {bad[0]}): "
            "clean them before they are obfuscated"
        )


def _drawing(module: nn.Module) -> list[SamplingModule]:
    """Everything inside that draws."""
    return [part for part in module.modules() if isinstance(part, SamplingModule)]


def _check_parts(
    layer: StochasticModule, selection: nn.Module | None, pre: nn.Module | None
) -> None:
    """Raise a `SettingError` unless the layer, and nothing else, draws for each record."""
    if not isinstance(layer, StochasticModule):
        raise SettingError(
            f"an obfuscator needs a stochastic or conditional layer of sfumato.nn, not "
            f"{type(layer).__name__}"
        )
    for part in _drawing(layer):
        if isinstance(part, BayesianModule):
            raise SettingError(
                f"the layer holds a {type(part).__name__}, whose drawn weights all records of a "
                "batch would share: an obfuscator draws for each record"
            )
    if not getattr(layer, "stochastic", True):
        raise SettingError(
            f"the {type(layer).__name__} layer is made of modules that draw nothing: its releases "
            "would carry no noise"
        )
    regular = {"pre": pre, "selection": selection}
    networks = [part.network for part in layer.modules() if isinstance(part, Stochastic)]
    for name, module in [*regular.items(), *(("the parameter network", n) for n in networks)]:
        if module is not None and (found := _drawing(module)):
            raise SettingError(
                f"{name} draws, in its {type(found[0]).__name__}: only an obfuscator's layer may, "
                "or distribution() would not be the law of a release"
            )
    for part in (*layer.modules(), *(() if pre is None else pre.modules())):
        if getattr(part, "batch_first", True) is False:
            raise SettingError(
                f"an obfuscator's records come first, but {type(part).__name__} takes time "
                "first: make it with batch_first=True"
            )
