"""The linear attack: a Wiener decoder."""

from __future__ import annotations

from typing import final

from sfumato.privacy.attacks.base import Attack, Outcome
from sfumato.privacy.attacks.scene import Scene
from sfumato.privacy.attacks.summary import seen_of, summary_of
from sfumato.privacy.attacks.wiener import LinearDecoder
from sfumato.privacy.knowledge import Knowledge, Summary
from sfumato.train.seed import seeded


@final
class LinearAttack(Attack):
    """Reconstructs records with the best linear decoder (`LinearDecoder`), in closed form.

    It reads the average of K releases and, where that is not all they tell, their log sample
    variance and their median (`Scene.spread`, `Scene.median`).

    Args:
        pooled: one covariance for all classes, one for each, or, with None, between the two, as is
            best on auxiliary records that are held out.

    Example:
        >>> from sfumato.privacy.attacks import toy_scene
        >>> LinearAttack().run(toy_scene((6,), sigma=1.0)).reconstructions.shape
        torch.Size([100, 6])
    """

    def __init__(self, pooled: bool | None = None) -> None:
        self.pooled = pooled

    @property
    def name(self) -> str:
        return {None: "linear", True: "linear-pooled", False: "linear-per-class"}[self.pooled]

    def run(self, scene: Scene) -> Outcome:
        with seeded(scene.seed, self.name):
            summary = summary_of(scene)
            decoder = LinearDecoder(knowledge_of(scene, summary), pooled=self.pooled)
            guess = decoder.reconstruct(seen_of(scene, summary), scene.target.labels)
        return Outcome(
            reconstructions=guess.reshape(scene.target.inputs.shape),
            notes=(f"a closed form with {decoder.shrinkage}",),
        )


def knowledge_of(scene: Scene, summary: Summary | None = None) -> Knowledge:
    """What the attacker of `scene` knows, the attacked records left out."""
    inputs, labels = scene.auxiliary.inputs, scene.auxiliary.labels
    mechanisms = [scene.mechanism]
    return Knowledge(inputs, labels, scene.num_classes, mechanisms, scene.releases, summary)
