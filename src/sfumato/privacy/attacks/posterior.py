"""The white-box attack: the most likely record, given its release."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import final

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal

from sfumato.errors import DataError, SettingError
from sfumato.objectives.moments import bare
from sfumato.privacy.attacks.base import Attack, Outcome
from sfumato.privacy.attacks.linear import knowledge_of
from sfumato.privacy.attacks.moments import has_covariance
from sfumato.privacy.attacks.prior import Prior, Weights
from sfumato.privacy.attacks.scene import Scene, average_of
from sfumato.privacy.attacks.summary import Drawn, Located, seen_of, summary_of
from sfumato.privacy.attacks.wiener import LinearDecoder
from sfumato.privacy.knowledge import Mechanism
from sfumato.train.seed import generator, seeded

BATCH = 256


@final
class MapAttack(Attack):
    """Maximum a posteriori: x̂ = argmin -log p(y | x, c) - log p(x | c), through the mechanism.

    Adam on x, from the linear decoder's guess, inside the range of the auxiliary records. The
    likelihood is that of `mechanism.distribution(x, labels)`, and of K Gaussian releases that of
    all of them, which their average and sample variance tell. Of K Laplace releases the best mean
    of average and median counts as Gaussian, and so does the log sample variance where the scale
    follows the record; of other laws the average alone, with 1 / K of the variance. The priors are
    total variation (pictures only) and a Gaussian one with the auxiliary records' moments
    (`Prior`). Which of their weights to take is chosen by the error on auxiliary records, which are
    released once more for that and have no part in the priors.

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
            summary = summary_of(scene)
            search = _Search(scene, summary, self.steps, self.lr, self.trials)
            weights = self._choose(search, scene)
            guess = search.find(seen_of(scene, summary), scene.target.labels, weights)
        notes = [f"{self.steps} steps of Adam with {weights}"]
        if isinstance(summary, Drawn):
            notes.append("of several releases the likelihood is that of their average alone")
        return Outcome(reconstructions=guess, notes=tuple(notes))

    def _choose(self, search: _Search, scene: Scene) -> Weights:
        """The weights with the least error on auxiliary records, each released anew."""
        vectors = len(scene.auxiliary.shape) != 3
        options = [w for w in self.weights if w.gaussian or not vectors]
        options = [Weights(0.0, w.gaussian) for w in options] if vectors else options
        options = list(dict.fromkeys(options)) or [Weights(0.0, 1.0)]
        if len(options) == 1:
            return options[0]
        x, labels = scene.auxiliary.inputs[search.held], scene.auxiliary.labels[search.held]
        if search.summary is None:
            seen = average_of(scene.mechanism, x, labels, scene.releases).flatten(1)
        else:
            seen = search.summary.draw(x, labels)
        errors = [float((search.find(seen, labels, w) - x).square().sum()) for w in options]
        return options[errors.index(min(errors))]


@final
class _Search:
    """What the attacker makes of the auxiliary records, and the search for the likeliest record.

    The records on which weights are chosen have no part in the priors.
    """

    def __init__(
        self, scene: Scene, summary: Located | Drawn | None, steps: int, lr: float, trials: int
    ) -> None:
        inputs, labels = scene.auxiliary.inputs, scene.auxiliary.labels
        order = torch.randperm(len(inputs), generator=generator(scene.seed, "map"))
        count = min(trials, max(1, len(order) // 5))
        self.held, used = order[:count], order[count:] if len(order) > count else order
        known, self.summary = knowledge_of(scene, summary), summary
        self.start = LinearDecoder(replace(known, inputs=inputs[used], labels=labels[used]))
        shrinkage = self.start.shrinkage
        self.prior = Prior(inputs[used], labels[used], known.num_classes, shrinkage)
        self.mechanism, self.releases = scene.mechanism, scene.releases
        self.steps, self.lr = steps, lr * float(inputs.std().clamp(min=1e-6))

    def find(self, seen: Tensor, labels: Tensor, weights: Weights) -> Tensor:
        """The likeliest records `[N, *record]` behind what is seen of them, flat."""
        batches = zip(seen.split(BATCH), labels.split(BATCH), strict=True)
        return torch.cat([self._batch(y, c, weights) for y, c in batches])

    def _batch(self, seen: Tensor, labels: Tensor, weights: Weights) -> Tensor:
        guess = self.start.reconstruct(seen, labels)
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
            likely = log_likelihood(self.mechanism, x, labels, seen, self.releases, self.summary)
            loss = self.prior(x, labels, weights).sum() - likely.sum()
        if not likely.requires_grad:
            raise SettingError(
                "the MAP attack climbs through mechanism.distribution(x, labels), but no gradient "
                "comes back from it: do not compute it under torch.no_grad"
            )
        # Of x alone: the parameters of the mechanism collect nothing.
        return torch.autograd.grad(loss, x)[0].nan_to_num(0.0, 0.0, 0.0)


def log_likelihood(
    mechanism: Mechanism,
    x: Tensor,
    labels: Tensor,
    seen: Tensor,
    releases: int,
    summary: Located | Drawn | None = None,
) -> Tensor:
    """Log p(y | x, c) for each record, `[B]`, of the average `seen` of K releases.

    With a summary `seen` is its features, of which the likelihood is taken, up to a constant; of
    one that has to be drawn that of the average, which comes first.

    Raises:
        SettingError: the mechanism has no distribution with a density.
        DataError: the average of several releases has no finite variance.
    """
    try:
        law = bare(mechanism.distribution(x, labels))
        if isinstance(summary, Located):
            return summary.log_likelihood(law, seen)
        if releases > 1:
            law = _averaged(law, releases)
        if summary is not None:
            seen = seen[:, : law.mean[0].numel()]
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
