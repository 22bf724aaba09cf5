"""What every measure of a neuron's importance must hold."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

from sfumato.errors import SfumatoError
from sfumato.testing.checks import expect
from sfumato.testing.contract import Contract


class ImportanceContract(Contract, ABC):
    """Abstract: the tests of an importance. A class that inherits them makes it and its scenes.

    pytest collects such a class if its name starts with `Test`; without pytest, `check` runs every
    test.

    Example:
        >>> from sfumato.compression import Magnitude, toy_scene
        >>> class TestMyImportance(ImportanceContract):
        ...     def make(self):
        ...         return Magnitude()
        ...
        ...     def scene(self, kind, *, noisy=True, mirrored=False):
        ...         return toy_scene(kind, noisy=noisy, mirrored=mirrored)
        >>> TestMyImportance.check()
    """

    kinds: ClassVar[tuple[str, ...]] = ("dense", "convolutional")
    """The scenes that it works on."""
    needs_noise: ClassVar[bool] = False
    """Whether it needs stochastic layers, and must raise a `SfumatoError` without them."""
    sees_activations: ClassVar[bool] = False
    """Whether a neuron that never fires must have the lowest score of its layer."""
    tolerance: ClassVar[float] = 1e-4
    """By how much of the largest score a score may move where only rounding differs."""

    @abstractmethod
    def make(self) -> Any:
        """The importance."""

    @abstractmethod
    def scene(self, kind: str, *, noisy: bool = True, mirrored: bool = False) -> Any:
        """A small scene, always the same; `sfumato.compression.toy_scene` makes one.

        Args:
            kind: one of `kinds`.
            noisy: with stochastic layers.
            mirrored: the same network with the neurons of every layer in reverse order.
        """

    def test_every_neuron_has_a_finite_score(self) -> None:
        """One score for each neuron of each group, of plain networks and of noisy ones."""
        for kind in self.kinds:
            for noisy in (True,) if self.needs_noise else (True, False):
                scene = self.scene(kind, noisy=noisy)
                scores = self.make().score(scene)
                given = {name: list(values.shape) for name, values in scores.items()}
                wanted = {name: [group.size] for name, group in scene.groups.items()}
                expect(given == wanted, f"it scores {given}, and the neurons are {wanted}")
                bad = [name for name, values in scores.items() if not values.isfinite().all()]
                expect(not bad, f"these layers have scores that are not finite: {bad}")
                tracked = [name for name, values in scores.items() if values.requires_grad]
                expect(not tracked, f"these scores carry a gradient: {tracked}")

    def test_it_tells_neurons_apart(self) -> None:
        """The scores of a layer are not all the same."""
        for kind in self.kinds:
            for name, values in self.make().score(self.scene(kind)).items():
                expect(
                    bool((values != values[0]).any()), f"the neurons of {name!r} all score the same"
                )

    def test_order_does_not_matter(self) -> None:
        """With the neurons of every layer in reverse order the scores are in reverse order."""
        for kind in self.kinds:
            plain = self.make().score(self.scene(kind))
            mirrored = self.make().score(self.scene(kind, mirrored=True))
            for name, values in plain.items():
                apart = float((mirrored[name].flip(0) - values).abs().max())
                expect(
                    apart <= self.tolerance * float(values.abs().max()),
                    f"where the neurons of {name!r} stand in reverse order their scores differ by "
                    f"{apart:.3g}",
                )

    def test_a_neuron_that_never_fires_is_not_missed(self) -> None:
        """It has the lowest score of its layer."""
        if not self.sees_activations:
            return
        for kind in self.kinds:
            for name, values in self.make().score(self.scene(kind)).items():
                expect(
                    bool((values[0] <= values).all()),
                    f"neuron 0 of {name!r} never fires, and scores {float(values[0]):.3g} where "
                    f"another has {float(values.min()):.3g}",
                )

    def test_one_seed_gives_one_score(self) -> None:
        """Two calls under one seed give the same."""
        found = []
        for _ in range(2):
            torch.manual_seed(3)
            found.append(self.make().score(self.scene(self.kinds[0])))
        same = all(torch.equal(found[0][name], found[1][name]) for name in found[0])
        expect(same, "two calls under one seed differ: draw from torch's global generator alone")

    def test_it_leaves_the_network_alone(self) -> None:
        """Parameters, buffers, gradients, modes and records are what they were."""
        for kind in self.kinds:
            scene = self.scene(kind)
            scene.model.train()  # so that an `eval()` that is not taken back shows
            before = _state(scene)
            self.make().score(scene)
            after = _state(scene)
            changed = [n for n, value in before.items() if not _same(value, after.get(n))]
            changed += [name for name in after if name not in before]
            expect(not changed, f"it changes {', '.join(changed)}")

    def test_it_says_that_it_needs_noise(self) -> None:
        """Without stochastic layers, a `SfumatoError` that says so."""
        if not self.needs_noise:
            return
        try:
            self.make().score(self.scene(self.kinds[0], noisy=False))
        except SfumatoError as error:
            expect("stochastic" in str(error), f"the error does not name the noise: {error}")
        else:
            expect(False, "it runs without stochastic layers, which it is said to need")


def _state(scene: Any) -> dict[str, Any]:
    """Everything that an importance could change by mistake, copied."""
    found: dict[str, Any] = {"inputs": scene.inputs.clone(), "labels": scene.labels.clone()}
    model = scene.model
    for name, value in model.named_parameters():
        found[f"{name}.requires_grad"] = value.requires_grad
        found[f"{name}.grad"] = None if value.grad is None else value.grad.clone()
    for name, value in (*model.named_parameters(), *model.named_buffers()):
        found[name] = value.detach().clone()
    for name, part in model.named_modules():
        found[f"{name or 'module'}.training"] = part.training
        found[f"{name or 'module'}.hooks"] = len(part._forward_hooks) + len(part._forward_pre_hooks)
    return found


def _same(first: Any, second: Any) -> bool:
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return torch.equal(first, second)
    return first is second if first is None or second is None else first == second
