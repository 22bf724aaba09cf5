"""Lower bounds on any reconstruction's error, where ε says nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, final

import torch
from torch import Tensor
from torch.distributions import Distribution, Laplace, Normal

from sfumato.errors import DataError, SettingError
from sfumato.privacy.certificate.checks import check_releases

_EXACT_UP_TO = 256  # elements: exact information takes a backward pass for each
_PROBES = 16


class HasLaw(Protocol):
    """The part of an obfuscator that is used here."""

    def distribution(self, x: Tensor, selection: Any = None) -> Distribution:
        """The law of the release, element by element."""
        ...


@final
@dataclass(frozen=True)
class FisherBound:
    """How well a record can be restored at best, in mean squared error of one element.

    Args:
        dfil: tr I(x) / d, the diagonal Fisher information leakage, averaged over records.
        unbiased: 1 / dfil: the least error of an attacker who is right on average (Cramér-Rao;
            Guo et al. 2022, theorem 1), averaged over records.
        any_attacker: the least error of any attacker on average over records that are Gaussian
            around their class mean (van Trees).
        class_mean: the error of the class mean, with which `any_attacker` compares.
        records: how many records the figures come from.
        size: d, elements of a record.
        releases: K, how many releases of a record the attacker holds.
        exact: whether the information was computed in full; else random probes estimate it.
    """

    dfil: float
    unbiased: float
    any_attacker: float
    class_mean: float
    records: int
    size: int
    releases: int
    exact: bool

    @property
    def leak(self) -> float:
        """1 - any_attacker / class_mean: no attacker's leak is larger under the Gaussian model."""
        return 1 - self.any_attacker / self.class_mean if self.class_mean > 0 else 0.0

    @property
    def words(self) -> str:
        """Two sentences for the card, with the assumption."""
        how = "" if self.exact else " (estimated with random probes)"
        return (
            f"An attacker whose guess is right on average has a squared error of at least "
            f"{self.unbiased:.3g} for each element{how}. If records were Gaussian around their "
            f"class mean, any attacker would have at least {self.any_attacker:.3g}, a leak of at "
            f"most {self.leak:.3g}; who knows more of the data than its covariance can do better."
        )


def fisher_bound(
    obfuscator: HasLaw,
    inputs: Tensor,
    labels: Tensor | None = None,
    *,
    releases: int = 1,
    probes: int | None = None,
    batch_size: int = 64,
) -> FisherBound:
    """Bound the error of every reconstruction by the Fisher information of the release.

    Of a release with location m(x) and scale s(x), element by element,

        I(x) = Jmᵀ S⁻² Jm + κ Jsᵀ S⁻² Js,   κ = 2 (Gaussian) or 1 (Laplace),

    K releases have K I(x). Unbiased attackers: E ‖x̂ - x‖² / d ≥ tr(I⁻¹) / d ≥ d / tr I. Any
    attacker, on average over records x ~ N(class mean, Σ) (van Trees inequality):
    E ‖x̂ - x‖² ≥ tr((E I + Σ⁻¹)⁻¹), in the basis of Σ at least Σ_i 1 / ((E I)_ii + 1 / λ_i).
    That the prior is Gaussian is a modelling assumption, and a smooth prior is needed for any such
    bound: natural pictures carry more prior information than their covariance. Σ is the pooled
    covariance of `inputs` around their class means.

    Args:
        obfuscator: gives the law of a release, Gaussian or Laplace.
        inputs: records `[N, ...]`, at least two.
        labels: `[N]`; without them the law is that of the learned selection, and Σ is taken around
            one mean. A mixture has no such law.
        releases: K, the releases of one record that the attacker holds.
        probes: random directions for each record; by default one backward pass for each element of
            a release up to 256, which is exact, and 16 probes beyond. Probes are drawn from
            torch's global generator; they are unbiased for `dfil` and raise the bound for any
            attacker by about 1 / (records · probes).
        batch_size: records at a time.

    Raises:
        DataError: fewer than two records, or labels that do not fit.
        SettingError: the noise is neither Gaussian nor Laplace, or a setting is below 1.
    """
    check_releases(releases)
    if probes is not None and probes < 1:
        raise SettingError(f"probes must be at least 1, not {probes}")
    if len(inputs) < 2 or (labels is not None and len(labels) != len(inputs)):
        raise DataError(f"a bound needs at least two records and a label for each: {len(inputs)}")
    values, axes = _prior(inputs, labels)
    total, diagonal = torch.zeros(len(inputs)).double(), torch.zeros_like(values)
    exact = probes is None
    for rows in torch.arange(len(inputs)).split(batch_size):
        own = None if labels is None else labels[rows]
        directions, whole = _directions(obfuscator, inputs[rows], own, probes)
        exact = exact and whole
        for gradient in directions:
            total[rows] += releases * gradient.square().sum(1)
            diagonal += releases * (gradient @ axes).square().sum(0) / len(inputs)
    size = inputs[0].numel()
    return FisherBound(
        dfil=float(total.mean()) / size,
        unbiased=float((size / total).mean()),
        any_attacker=float((values / (1 + diagonal * values)).sum()) / size,
        class_mean=float(values.sum()) / size,
        records=len(inputs),
        size=size,
        releases=releases,
        exact=exact,
    )


def _prior(inputs: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
    """The eigenvalues `[d]` and eigenvectors `[d, d]` of the covariance within classes."""
    flat = inputs.detach().double().flatten(1)
    if not bool(torch.isfinite(flat).all()):
        raise DataError("a record holds NaN or infinity: clean the records first")
    groups = torch.zeros(len(flat)).long() if labels is None else labels
    centred = flat.clone()
    for c in groups.unique():
        centred[groups == c] -= flat[groups == c].mean(0)
    freedom = max(1, len(flat) - len(groups.unique()))
    values, axes = torch.linalg.eigh(centred.T @ centred / freedom)
    return values.clamp(min=0), axes


def _directions(
    obfuscator: HasLaw, inputs: Tensor, labels: Tensor | None, probes: int | None
) -> tuple[Iterator[Tensor], bool]:
    """Vectors g `[B, d]` with Σ g gᵀ = I(x) for each record, and whether that is exact."""
    x = inputs.detach().clone().requires_grad_()
    with torch.enable_grad():
        location, scale, weight = _law(obfuscator.distribution(x, labels))
    if probes is None and location.shape[1] <= _EXACT_UP_TO:
        return _exact(x, location, scale, weight), True
    return _probed(x, location, scale, weight, probes or _PROBES), False


def _exact(x: Tensor, location: Tensor, scale: Tensor, weight: float) -> Iterator[Tensor]:
    for block, factor in ((location, 1.0), (scale, weight)):
        for number in range(block.shape[1]):
            along = torch.zeros_like(block)
            along[:, number] = factor**0.5 / scale.detach()[:, number]
            pulled = _pulled(block, along, x)
            if pulled is None:  # nothing of this block depends on the record
                break
            yield pulled


def _probed(
    x: Tensor, location: Tensor, scale: Tensor, weight: float, probes: int
) -> Iterator[Tensor]:
    for block, factor in ((location, 1.0), (scale, weight)):
        for _ in range(probes):
            sign = torch.randint_like(block, 2) * 2 - 1
            pulled = _pulled(block, (factor / probes) ** 0.5 * sign / scale.detach(), x)
            if pulled is None:
                break
            yield pulled


def _pulled(block: Tensor, along: Tensor, x: Tensor) -> Tensor | None:
    """The product of `along` with the block's Jacobian, `[B, d]`; None where there is none."""
    if not block.requires_grad:
        return None
    (pulled,) = torch.autograd.grad(block, x, along, retain_graph=True, allow_unused=True)
    return None if pulled is None else pulled.detach().double().flatten(1)


def _law(law: Distribution) -> tuple[Tensor, Tensor, float]:
    """Location and scale, flat, and κ: what the scale's slope weighs."""
    if isinstance(law, Normal):
        return law.loc.flatten(1), law.scale.flatten(1), 2.0
    if isinstance(law, Laplace):
        return law.loc.flatten(1), law.scale.flatten(1), 1.0
    raise SettingError(
        f"the bound is for Gaussian and Laplace noise, not for {type(law).__name__}: these have a "
        "location with a slope"
    )
