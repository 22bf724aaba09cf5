"""All that an attacker keeps of K releases, side by side, and the law of it."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor
from torch.distributions import Distribution, Gamma, Laplace, Normal

from sfumato.objectives.moments import bare
from sfumato.privacy.attacks.fresh import fresh
from sfumato.privacy.attacks.moments import known_law
from sfumato.privacy.attacks.scene import Scene
from sfumato.privacy.attacks.several import FLOOR, Kept, Statistics, summarised
from sfumato.privacy.attacks.standard import Standard, standard
from sfumato.privacy.knowledge import Mechanism

_BUDGET = 2**28
"""Numbers that may be drawn to learn from, where the law of a release is not known."""


@final
class Located:
    """Statistics of K releases with independent elements m + s z, z Gaussian or Laplace.

    The first is t = w (average) + (1 - w) (median), the best linear guess of m: of variance v s²;
    of Gaussian releases the average. Beside it, where the scale follows the record, the log sample
    variance: log s² + (mean a, variance b). w, v, a and b are those of standard noise
    (`Standard`), so that there is nothing to draw for the moments, and to draw the statistics of
    K releases costs as much as one release.

    Args:
        mechanism: what makes the releases.
        noise: the statistics of K draws of standard noise.
        spread: whether the sample variance is kept.
        like: records and labels on which the unit of the log variance is found, so that it varies
            about as much as t does.
    """

    def __init__(
        self, mechanism: Mechanism, noise: Standard, spread: bool, like: tuple[Tensor, Tensor]
    ) -> None:
        self.mechanism, self.noise_of, self.spread = mechanism, noise, spread
        law = self._law(*like)
        variance = law.variance.detach().mean() * noise.variance
        self.unit = float(variance.clamp(min=FLOOR).sqrt())
        shape = tuple(mechanism.release(*like).shape[1:])
        self.shapes, self.rows = [shape] * (2 if spread else 1), None

    def features(self, seen: Statistics) -> Tensor:
        """Both t and the log variance in its unit, flat and side by side, `[N, e or 2 e]`."""
        located = seen.mean
        if seen.median is not None and self.noise_of.weight != 1:
            located = torch.lerp(seen.median, seen.mean, self.noise_of.weight)
        if not self.spread or seen.spread is None:
            return located.flatten(1)
        return torch.cat([located.flatten(1), self.unit * seen.spread.flatten(1)], 1)

    @torch.no_grad()
    def draw(self, x: Tensor, labels: Tensor) -> Tensor:
        """The features of K fresh releases of each record."""
        law = self._law(x, labels)
        located, logs = self._noise(law.mean)
        found = [law.mean + law.stddev * located]
        if self.spread:
            found.append(self.unit * (law.variance.clamp(min=FLOOR).log() + logs))
        return torch.cat([part.reshape(len(x), -1) for part in found], 1)

    def locations(self, x: Tensor, labels: Tensor) -> Tensor:
        """The mean of each record's features."""
        law = self._law(x, labels)
        found = [law.mean]
        if self.spread:
            found.append(self.unit * (law.variance.clamp(min=FLOOR).log() + self.noise_of.shift))
        return torch.cat([part.reshape(len(x), -1) for part in found], 1)

    def noise(self, variances: Tensor) -> Tensor:
        """The variances of the features, `[C, e or 2 e]`, from those of one release."""
        first = self.noise_of.variance * variances
        if not self.spread:
            return first
        second = torch.full_like(first, self.unit**2 * self.noise_of.log_variance)
        return torch.cat([first, second], 1)

    def log_likelihood(self, law: Distribution, features: Tensor) -> Tensor:
        """Log p of each record's features under its own law, `[N]`, up to a constant.

        Exact for Gaussian noise, where it is that of the K releases. Else t and the log variance
        count as independent and Gaussian.
        """
        law = bare(law)
        located, spread = self._parts(features)
        mean, variance = law.mean.reshape(located.shape), law.variance.reshape(located.shape)
        variance = variance.clamp(min=FLOOR)
        logs = variance.log()
        found = (located - mean).square() / (self.noise_of.variance * variance) + logs
        if spread is not None and self.noise_of.freedom is not None:
            found = found + self.noise_of.freedom * (logs + (spread - logs).exp())
        elif spread is not None:
            off = spread - logs - self.noise_of.shift
            found = found + off.square() / self.noise_of.log_variance
        return -0.5 * found.sum(1)

    def _parts(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        if not self.spread:
            return features, None
        located, logs = features.chunk(2, 1)
        return located, logs / self.unit

    def pieces(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        """Both t and the log sample variance, in float64."""
        return self._parts(features.double())

    def _noise(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Of t and log variance those of K draws of standard noise, of the shape of `like`."""
        noise = self.noise_of
        if noise.freedom is not None:
            half = torch.full_like(like, noise.freedom / 2)
            logs = Gamma(half, half).sample().clamp(min=FLOOR).log() if self.spread else half
            return torch.randn_like(like) * noise.variance**0.5, logs
        pick = torch.randint(len(noise.bank[0]), like.shape)
        located, logs = (part[pick].to(like) for part in noise.bank)
        return located, logs

    def _law(self, x: Tensor, labels: Tensor) -> Distribution:
        return bare(self.mechanism.distribution(x, labels))


@final
class Drawn:
    """Average, log sample variance and median of K fresh releases, of whatever law.

    Every example costs K releases, so the linear decoder learns from `rows` records at most: 2²⁸
    numbers are drawn, or K releases of 500 records.

    Args:
        mechanism: what makes the releases.
        releases: K.
        kept: what is kept beside the average.
        like: records and labels on which the unit of the log variance is found.
    """

    def __init__(
        self, mechanism: Mechanism, releases: int, kept: Kept, like: tuple[Tensor, Tensor]
    ) -> None:
        self.mechanism, self.releases, self.kept, self.unit = mechanism, releases, kept, 1.0
        found = summarised(mechanism, *like, releases, kept)
        if found.spread is not None:
            self.unit = float((found.spread.exp().mean() / releases).clamp(min=FLOOR).sqrt())
        self.shapes = [tuple(found.mean.shape[1:])] * (1 + kept.spread + kept.median)
        self.rows = max(500, _BUDGET // (releases * found.mean[0].numel()))

    def features(self, seen: Statistics) -> Tensor:
        """Average, log variance in its unit and median, flat and side by side."""
        spread = None if seen.spread is None else self.unit * seen.spread
        parts = [part for part in (seen.mean, spread, seen.median) if part is not None]
        return torch.cat([part.flatten(1) for part in parts], 1)

    def draw(self, x: Tensor, labels: Tensor) -> Tensor:
        """The features of K fresh releases of each record."""
        return self.features(summarised(self.mechanism, x, labels, self.releases, self.kept))


def summary_of(scene: Scene) -> Located | Drawn | None:
    """How the attacker of `scene` reads its K releases; None where their average is all."""
    return summary_with(scene, Kept(scene.spread is not None, scene.median is not None))


def summary_with(scene: Scene, kept: Kept) -> Located | Drawn | None:
    """The same where the attacker keeps what `kept` says."""
    if kept == Kept():
        return None
    like = scene.auxiliary.inputs[:256], scene.auxiliary.labels[:256]
    law = known_law(scene.mechanism, *like)
    if isinstance(law, Normal) or (
        isinstance(law, Laplace) and (kept.median or scene.releases == 2)
    ):
        noise = standard(isinstance(law, Normal), scene.releases)
        return Located(scene.mechanism, noise, kept.spread, like)
    return Drawn(scene.mechanism, scene.releases, kept, like)


def seen_of(scene: Scene, summary: Located | Drawn | None) -> Tensor:
    """What the attacker reads of each attacked record, flat: `[N, e]`, or several times e."""
    if summary is None:
        return scene.seen.flatten(1)
    return summary.features(Statistics(scene.seen, scene.spread, scene.median))


def shown_of(scene: Scene, summary: Located | Drawn | None) -> Tensor:
    """The same as pictures or vectors, the parts of the summary as channels of one release."""
    return scene.seen if summary is None else _stacked(summary, seen_of(scene, summary))


@torch.no_grad()
def fresh_of(scene: Scene, summary: Located | Drawn | None, x: Tensor, labels: Tensor) -> Tensor:
    """What the attacker would read of K fresh releases of each record, as in `shown_of`."""
    if summary is None:
        return fresh(scene.mechanism, x, labels, scene.releases)
    return _stacked(summary, summary.draw(x, labels))


def _stacked(summary: Located | Drawn, features: Tensor) -> Tensor:
    channels, *rest = summary.shapes[0]
    return features.reshape(len(features), len(summary.shapes) * channels, *rest)
