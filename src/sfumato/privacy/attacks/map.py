"""The white-box attack: the most likely record, given its release."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import final

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal

from sfumato.errors import DataError, SettingError
from sfumato.privacy.attacks.base import Attack, Outcome
from sfumato.privacy.attacks.linear import knowledge_of
from sfumato.privacy.attacks.moments import bare, has_covariance
from sfumato.privacy.attacks.prior import Prior, Weights
from sfumato.privacy.attacks.scene import Scene, average_of
from sfumato.privacy.attacks.wiener import LinearDecoder
from sfumato.privacy.knowledge import Mechanism
from sfumato.train.seed import generator, seeded

BATCH = 256


@final
class MapAttack(Attack):
    """Maximum a posteriori: x̂ = argmin -log p(y | x, c) - log p(x | c), through the mechanism.

    Adam on x, from the linear decoder's guess, inside the range of the auxiliary records. The
    likelihood is that of `mechanism.distribution(x, labels)`; of the average of K releases it is
    Gaussian with 1 / K of the variance, which is exact for Gaussian noise and the central limit
    otherwise. The priors are total variation (pictures only) and a Gaussian one with the auxiliary
    records' moments (`Prior`). Which of their weights to take is chosen by the error on auxiliary
    records, which are released once more for that and have no part in the priors.

    Args:
        steps: of Adam, for each batch of records.
        variations: weights of the total variation to choose from.
        gaussians: weights of the Gaussian prior to choose from.
        lr: of Adam, in units of the records' standard deviation; it falls to zero along a cosine.
        trials: auxiliary records on which the weights are chosen.

    Raises:
        SettingError: a number is not above 0, or there is no weight to choose.

    Example:
        >>> from sfumato.privacy.attacks import toy_scene
        >>> MapAttack(steps=5).run(toy_scene((1, 4, 4))).reconstructions.shape
        torch.Size([100, 1, 4, 4])
    """

    def __init__(
        self,
        steps: int = 100,
        variations: Sequence[float] = (0.0, 0.03, 0.1, 0.3),
        gaussians: Sequence[float] = (0.0, 0.3, 1.0),
        *,
        lr: float = 0.1,
        trials: int = 64,
    ) -> None:
        for name, value in (("steps", steps), ("lr", lr), ("trials", trials)):
            if value <= 0:
                raise SettingError(f"{name} must be above 0, not {value}")
        self.steps, self.lr, self.trials = steps, lr, trials
        self.weights = [Weights(v, g) for g in gaussians for v in variations if v or g]
        if not self.weights:
            raise SettingError("give at least one weight above 0: without a prior there is no MAP")

    @property
    def name(self) -> str:
        return "map"

    def run(self, scene: Scene) -> Outcome:
        with seeded(scene.seed, self.name):
            search = _Search(scene, self.steps, self.lr, self.trials)
            weights = self._choose(search, scene)
            guess = search.find(scene.seen, scene.target.labels, weights)
        return Outcome(
            reconstructions=guess,
            notes=(f"{self.steps} steps of Adam with {weights}",),
        )

    def _choose(self, search: _Search, scene: Scene) -> Weights:
        """The weights with the least error on auxiliary records, each released anew."""
        vectors = len(scene.auxiliary.shape) != 3
        options = [w for w in self.weights if w.gaussian or not vectors]
        options = [Weights(0.0, w.gaussian) for w in options] if vectors else options
        options = list(dict.fromkeys(options)) or [Weights(0.0, 1.0)]
        if len(options) == 1:
            return options[0]
        x, labels = scene.auxiliary.inputs[search.held], scene.auxiliary.labels[search.held]
        seen = average_of(scene.mechanism, x, labels, scene.releases)
        errors = [float((search.find(seen, labels, w) - x).square().sum()) for w in options]
        return options[errors.index(min(errors))]


@final
class _Search:
    """What the attacker makes of the auxiliary records, and the search for the likeliest record.

    The records on which weights are chosen have no part in the priors.
    """

    def __init__(self, scene: Scene, steps: int, lr: float, trials: int) -> None:
        inputs, labels = scene.auxiliary.inputs, scene.auxiliary.labels
        order = torch.randperm(len(inputs), generator=generator(scene.seed, "map"))
        count = min(trials, max(1, len(order) // 5))
        self.held, used = order[:count], order[count:] if len(order) > count else order
        known = knowledge_of(scene)
        self.start = LinearDecoder(replace(known, inputs=inputs[used], labels=labels[used]))
        shrinkage = self.start.shrinkage
        self.prior = Prior(inputs[used], labels[used], known.num_classes, shrinkage)
        self.mechanism, self.releases = scene.mechanism, scene.releases
        self.steps, self.lr = steps, lr * float(inputs.std().clamp(min=1e-6))

    def find(self, seen: Tensor, labels: Tensor, weights: Weights) -> Tensor:
        """The likeliest records `[N, *record]` behind releases `seen`."""
        batches = zip(seen.split(BATCH), labels.split(BATCH), strict=True)
        return torch.cat([self._batch(y, c, weights) for y, c in batches])

    def _batch(self, seen: Tensor, labels: Tensor, weights: Weights) -> Tensor:
        guess = self.start.reconstruct(seen.flatten(1), labels)
        x = guess.reshape(-1, *self.prior.shape).clamp(*self.prior.range).requires_grad_()
        optimizer = torch.optim.Adam([x], lr=self.lr)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)
        for _ in range(self.steps):
            x.grad = self._slope(x, seen, labels, weights)
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                x.clamp_(*self.prior.range)
        return x.detach()

    def _slope(self, x: Tensor, seen: Tensor, labels: Tensor, weights: Weights) -> Tensor:
        with torch.enable_grad():
            likely = log_likelihood(self.mechanism, x, labels, seen, self.releases)
            loss = self.prior(x, labels, weights).sum() - likely.sum()
        if not likely.requires_grad:
            raise SettingError(
                "the MAP attack climbs through mechanism.distribution(x, labels), but no gradient "
                "comes back from it: do not compute it under torch.no_grad"
            )
        # Of x alone: the parameters of the mechanism collect nothing.
        return torch.autograd.grad(loss, x)[0].nan_to_num(0.0, 0.0, 0.0)


def log_likelihood(
    mechanism: Mechanism, x: Tensor, labels: Tensor, seen: Tensor, releases: int
) -> Tensor:
    """Log p(y | x, c) for each record, `[B]`, of the average `seen` of K releases.

    Raises:
        SettingError: the mechanism has no distribution with a density.
        DataError: the average of several releases has no finite variance.
    """
    try:
        law = bare(mechanism.distribution(x, labels))
        if releases > 1:
            law = _averaged(law, releases)
        shape = law.batch_shape + law.event_shape
        return law.log_prob(seen.reshape(shape)).reshape(len(x), -1).sum(1)
    except (AttributeError, NotImplementedError) as error:
        raise SettingError(
            f"the MAP attack needs mechanism.distribution(x, labels) with a log_prob, which "
            f"{type(mechanism).__name__} does not have ({error}): leave this attack out"
        ) from error


def _averaged(law: torch.distributions.Distribution, releases: int) -> Normal | MultivariateNormal:
    if has_covariance(law):
        matrix: Tensor = law.covariance_matrix  # type: ignore[attr-defined]
        return MultivariateNormal(law.mean, matrix / releases, validate_args=False)
    if not bool(law.variance.isfinite().all()):
        raise DataError("the noise has no finite variance: an average of releases has no law")
    return Normal(law.mean, (law.variance / releases).sqrt(), validate_args=False)
