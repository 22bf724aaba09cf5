"""A learned adversary: decoders that train beside the obfuscator, and are born anew."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, final

import torch
import torch.nn.functional as F
from torch import Tensor

from sfumato.errors import SettingError
from sfumato.objectives.base import Emission, Objective
from sfumato.objectives.reconstructor import Reconstructor


@final
@dataclass(frozen=True)
class AdversarySettings:
    """How strong the adversary is, and how often it begins again.

    Args:
        members: decoders of different ages; the strongest counts.
        steps: how often each of them learns for one step of the obfuscator.
        restart: after how many steps of the obfuscator a decoder is replaced by a new one.
        warm_up: how many steps a new decoder learns before it counts.
        batch_size: records in a step of a decoder, each with a fresh release.
        lr: their learning rate.
        width: channels of the decoders.

    Raises:
        SettingError: a number is not above 0 (`warm_up`, `steps`: below 0).
    """

    members: int = 2
    steps: int = 3
    restart: int = 200
    warm_up: int = 50
    batch_size: int = 64
    lr: float = 3e-3
    width: int = 8

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (value > 0 or (value == 0 and name in ("warm_up", "steps"))):
                raise SettingError(f"{name} of an adversary must be above 0, not {value}")


@final
class Adversary(Objective):
    """The leak under decoders that learn to reconstruct the records of the fit.

    leak = max over members of 1 - ‖x̂(y, c) - x‖² / ‖m_c - x‖², clamped to at least 0: what the
    label alone tells is no leak, and a decoder that does worse than the class mean gives the
    obfuscator nothing to flee from. A game with one decoder goes in circles: the obfuscator only
    learns to surprise that one. So there are several, which are replaced by fresh ones in turn, and
    the strongest counts. They are judged on the records they learn from: where these are few the
    adversary is flattered, and asks for more noise than it takes to stop it elsewhere.

    Decoders draw releases of their own through `Emission.mechanism`; batches, draws and initial
    weights come from torch's global generator. The decoders and their optimisers are the state.

    Args:
        settings: how strong, how often anew.
    """

    stateful: ClassVar[bool] = True

    def __init__(self, settings: AdversarySettings | None = None) -> None:
        self.settings = settings or AdversarySettings()
        self.members: list[Reconstructor] = []
        self._optimizers: list[torch.optim.Optimizer] = []
        self._count = 0
        self._known: tuple[Tensor, Tensor, int] | None = None

    def config(self) -> dict[str, Any]:
        return asdict(self.settings)

    def prepare(self, inputs: Tensor, labels: Tensor, num_classes: int) -> None:
        self._known = inputs, labels, num_classes
        self.members, self._optimizers, self._count = [], [], 0

    def __call__(self, emission: Emission) -> Tensor:
        if not self.members:
            self.step(emission)
        shown = emission.inputs, emission.releases, emission.labels
        return torch.stack([m.leak(*shown) for m in self.members]).max().clamp(min=0)

    def step(self, emission: Emission) -> None:
        if self._known is None:
            self.prepare(emission.inputs, emission.labels, int(emission.labels.max()) + 1)
        count, settings = self._count, self.settings
        for number in range(settings.members):
            # Ages are spread evenly, so that there is an experienced one at any time.
            turn = (count + number * settings.restart // settings.members) % settings.restart
            if count == 0 or turn == 0:
                self._renew(number, emission)
            self._train(number, emission, settings.steps)
        self._count += 1

    def state_dict(self) -> dict[str, Any]:
        return {
            "count": self._count,
            "seen": [list(m.centres.shape[1:]) for m in self.members],
            "members": [member.state_dict() for member in self.members],
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.members, self._optimizers = [], []
        for number, seen in enumerate(state["seen"]):
            self._put(number, seen)
            self.members[number].load_state_dict(state["members"][number])
            self._optimizers[number].load_state_dict(state["optimizers"][number])
        self._count = state["count"]

    def _renew(self, number: int, emission: Emission) -> None:
        """Replace a member by one that was born now and has learned for a while."""
        inputs, labels, _ = self._records(1024)
        with torch.no_grad():
            releases = emission.mechanism.release(inputs, labels)
        self._put(number, releases.shape[1:])
        self.members[number].begin(inputs, releases, labels)
        self._train(number, emission, self.settings.warm_up)

    def _put(self, number: int, seen: Any) -> None:
        assert self._known is not None
        inputs, _, classes = self._known
        # Random weights are drawn on the CPU, then moved: the same decoder on every device.
        member = Reconstructor(inputs.shape[1:], seen, classes, self.settings.width)
        member.to(inputs.device).requires_grad_(False)
        optimizer = torch.optim.Adam(member.parameters(), lr=self.settings.lr)
        self.members[number : number + 1] = [member]
        self._optimizers[number : number + 1] = [optimizer]

    def _train(self, number: int, emission: Emission, steps: int) -> None:
        member, optimizer = self.members[number], self._optimizers[number]
        member.requires_grad_(True)
        for _ in range(steps):
            x, labels, _ = self._records(self.settings.batch_size)
            with torch.no_grad():
                y = emission.mechanism.release(x, labels)
            loss = F.mse_loss(member(y, labels), x.flatten(1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        optimizer.zero_grad()
        # In the obfuscator's step the decoders are constants: no gradient is made for them.
        member.requires_grad_(False)

    def _records(self, count: int) -> tuple[Tensor, Tensor, int]:
        assert self._known is not None
        inputs, labels, classes = self._known
        chosen = torch.randint(len(inputs), (min(count, len(inputs)),)).to(inputs.device)
        return inputs[chosen], labels[chosen], classes
