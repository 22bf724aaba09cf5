"""The network attack: a U-Net trained on unlimited fresh draws."""

from __future__ import annotations

from dataclasses import replace
from typing import final

from sfumato.errors import SettingError
from sfumato.privacy.attacks.base import Attack, Outcome
from sfumato.privacy.attacks.decoder import DecoderSettings, NetworkDecoder, split
from sfumato.privacy.attacks.linear import knowledge_of
from sfumato.privacy.attacks.scene import Scene
from sfumato.privacy.attacks.summary import seen_of, summary_of
from sfumato.privacy.attacks.wiener import LinearDecoder
from sfumato.train.loop import Progress, silent
from sfumato.train.seed import seeded


@final
class NetworkAttack(Attack):
    """Reconstructs records with a network that starts as the linear decoder (`NetworkDecoder`).

    Every step sees fresh releases of auxiliary records, averages of K where `scene.seen` are, with
    their log sample variance and median beside them where the scene has these. The linear decoder
    that it starts from is made without the records on which the network is validated, so that
    keeping the best weights is a fair choice.

    Args:
        settings: the budget.
        progress: called at every look at the validation error.

    Raises:
        SettingError: the budget is 0 steps.
    """

    def __init__(
        self, settings: DecoderSettings | None = None, progress: Progress = silent
    ) -> None:
        self.settings = settings or DecoderSettings()
        self.progress = progress
        if not self.settings.steps:
            raise SettingError("a network attack of 0 steps is the linear attack: use that")

    @property
    def name(self) -> str:
        return "network"

    def run(self, scene: Scene) -> Outcome:
        with seeded(scene.seed, self.name):
            summary = summary_of(scene)
            known = knowledge_of(scene, summary)
            used = split(len(known.inputs), scene.seed)[1]
            part = replace(known, inputs=known.inputs[used], labels=known.labels[used])
            start = LinearDecoder(part)
            network = NetworkDecoder(known, start, self.settings, scene.seed, self.progress)
            guess = network.reconstruct(seen_of(scene, summary), scene.target.labels)
        return Outcome(
            figures={"steps": float(network.steps), "stopped": float(network.stopped)},
            reconstructions=guess.reshape(scene.target.inputs.shape),
            notes=(self._note(network),),
        )

    def _note(self, network: NetworkDecoder) -> str:
        if network.stopped:
            return f"stopped after {network.steps} steps: the validation error no longer fell"
        return (
            f"used its whole budget of {network.steps} steps before its gains had come to an end: "
            "a lower bound"
        )
