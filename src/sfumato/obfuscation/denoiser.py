"""The trainer's own denoiser, made from the clean part: releases -> what is left of the record."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor
from torch.distributions import Distribution

from sfumato.data.records import Records
from sfumato.errors import DataError, SettingError
from sfumato.objectives.moments import moments
from sfumato.objectives.within import class_means
from sfumato.privacy import Mechanism


@final
class Denoiser:
    """The best linear guess of a record from its release, E[x | y] if all is Gaussian.

    x̂ = m_c + C_xy (C_y + S_c)⁻¹ (y - ν_c), with class means m and ν of records and locations, their
    covariances C within the classes, pooled, and the mean noise covariance S_c of the class, all
    from the clean part (Wiener, 1949). It is made of what the trainer has, so releases that pass
    through it tell no more than before.

    With labels the class mean enters the guess, and where little of the record is left the guess
    is the class mean: a model that learns from such guesses alone has not seen the class vary, and
    reads the class off the mean. Without labels (`labelled=False`) the means and covariances are
    those of all classes together, and the same map can be used on test records.

    Args:
        mechanism: makes the releases; its law must have independent elements or be multivariate
            normal.
        clean: the records in clear.
        labelled: use the labels of releases.

    Raises:
        DataError: fewer than two clean records, or a law that does not tell its covariance.
    """

    def __init__(self, mechanism: Mechanism, clean: Records, *, labelled: bool = True) -> None:
        if len(clean) < 2:
            raise DataError("a denoiser needs at least two clean records")
        self.labelled, self.shape = labelled, clean.shape
        noise, location = _laws(mechanism, clean)
        records = clean.inputs.flatten(1).double()
        groups = clean.labels if labelled else torch.zeros_like(clean.labels)
        count = clean.num_classes if labelled else 1
        self.means, self.centres = (class_means(v, groups, count) for v in (records, location))
        x, y = records - self.means[groups], location - self.centres[groups]
        cross, own = y.T @ x / len(x), y.T @ y / len(y)
        if not labelled:
            share = torch.bincount(clean.labels, minlength=clean.num_classes).double() / len(clean)
            noise = torch.einsum("c,c...->...", share, noise).unsqueeze(0)
        self.gains = torch.stack([_gain(own, cross, each) for each in noise])

    def __call__(
        self, releases: Tensor, labels: Tensor | None = None, share: float = 1.0
    ) -> Tensor:
        """Denoised releases, `[B, *record]`.

        Args:
            releases: `[B, ...]`.
            labels: `[B]`, needed if the denoiser is labelled, and ignored if it is not.
            share: how far to go from the release to the guess, in [0, 1]; less than 1 only where
                releases have the shape of records.

        Raises:
            DataError: labels are missing, or the releases have another size.
            SettingError: `share` is out of range.
        """
        if not 0 <= share <= 1:
            raise SettingError(f"share must lie in [0, 1], not {share}")
        if self.labelled and labels is None:
            raise DataError("this denoiser needs the labels of releases: make it labelled=False")
        flat = releases.flatten(1)
        if flat.shape[1] != self.centres.shape[1]:
            raise DataError(f"releases have {self.centres.shape[1]} elements, not {flat.shape[1]}")
        own = (
            labels
            if self.labelled and labels is not None
            else releases.new_zeros(len(releases)).long()
        )
        guess = self.means[own].clone()
        for c in own.unique().tolist():
            member = own == c
            guess[member] += (flat[member].double() - self.centres[c]) @ self.gains[c]
        guess = guess.to(releases.dtype)
        if share < 1:
            if flat.shape != guess.shape:
                raise DataError("a share below 1 needs releases of the records' size: use share=1")
            guess = flat + share * (guess - flat)
        return guess.reshape(len(releases), *self.shape)


@torch.no_grad()
def _laws(mechanism: Mechanism, clean: Records) -> tuple[Tensor, Tensor]:
    """The mean noise of each class, `[C, e]` or `[C, e, e]`, and the locations `[N, e]`."""
    location: Tensor | None = None
    found: dict[int, Tensor] = {}
    for c in range(clean.num_classes):
        member = clean.labels == c
        if not bool(member.any()):
            continue
        law: Distribution = mechanism.distribution(clean.inputs[member], clean.labels[member])
        mean, found[c] = moments(law)
        if location is None:
            location = mean.new_zeros(len(clean), mean.shape[1])
        location[member] = mean
    assert location is not None
    average = torch.stack(list(found.values())).mean(0)
    noise = [found.get(c, average) for c in range(clean.num_classes)]
    return torch.stack(noise).double(), location.double()


def _gain(own: Tensor, cross: Tensor, noise: Tensor) -> Tensor:
    total = own + (noise.diag() if noise.dim() == 1 else noise)
    # The noise keeps this well conditioned; the ridge covers a vanishing min_scale.
    total.diagonal().add_(1e-8 * total.diagonal().mean().clamp(min=1e-12))
    return torch.linalg.solve(total, cross)
