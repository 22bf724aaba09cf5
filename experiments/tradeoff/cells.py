"""The cells of the table: one training or one attack, for one seed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from experiments.tradeoff.learners import LEARNERS
from experiments.tradeoff.mechanisms import Approach, build
from experiments.tradeoff.setup import Setup, clean_model, full_model, learned
from sfumato.data import Records
from sfumato.nn import ConditionalConv2d
from sfumato.obfuscation import margins, worth_releasing
from sfumato.privacy import Mechanism, Served, measure
from sfumato.privacy.attacks import (
    Attack,
    LinearAttack,
    LinkageAttack,
    MapAttack,
    NetworkAttack,
    Scene,
)
from sfumato.train import accuracy, derive, seeded


def clean_only(setup: Setup, seed: int) -> dict[str, Any]:
    """NN-p, and the margins of the attacked records, which say what a policy would release."""
    model, test, target = clean_model(setup, seed), setup.all_test(), setup.target()
    rest = setup.rest(seed)
    known = margins(model, rest.inputs, rest.labels)
    return {
        "accuracy": accuracy(model, test.inputs, test.labels),
        "on_rest": float((known > 0).float().mean()),
        "margins": _rounded(margins(model, target.inputs, target.labels)),
        "thresholds": {str(q): float(known.quantile(q / 100)) for q in range(1, 100)},
    }


def all_clean(setup: Setup, seed: int) -> dict[str, Any]:
    """The ceiling: all training records in clear."""
    test = setup.all_test()
    return {"accuracy": accuracy(full_model(setup, seed), test.inputs, test.labels)}


def training(
    setup: Setup,
    seed: int,
    mechanism: str,
    settings: dict[str, Any],
    share: float,
    policy: Any,
    learner: str = "plain",
) -> dict[str, Any]:
    """NN'-p: the clean part and one release of each chosen record of the rest."""
    clean, rest, test = setup.clean(seed), setup.rest(seed), setup.all_test()
    approach = _approach(setup, seed, mechanism, settings)
    if share < 1:
        chosen = worth_releasing(clean_model(setup, seed), rest, share, policy, seed=seed)
        rest = rest.subset(chosen)
    shown = approach.restore(_released(approach.mechanism, rest, seed))
    released = Records(shown, rest.labels, rest.classes)
    clean, test = (
        Records(approach.view(part.inputs), part.labels, part.classes) for part in (clean, test)
    )
    model = _start(setup, seed, clean)
    found = LEARNERS[learner](setup, seed, approach, model, clean, released, test)
    return {"accuracy": found, "released": len(rest)}


def attacked(setup: Setup, seed: int, mechanism: str, settings: dict[str, Any]) -> dict[str, Any]:
    """What the attackers find of releases under the true labels."""
    approach = _approach(setup, seed, mechanism, settings)
    return _attack(setup, seed, approach.mechanism)


def inference(setup: Setup, seed: int, mechanism: str, settings: dict[str, Any]) -> dict[str, Any]:
    """A frozen network of all records on obfuscated inputs without labels, and what they leak."""
    model, clean, test = full_model(setup, seed), setup.clean(seed), setup.all_test()
    with seeded(seed, "fit", mechanism):
        approach = build(mechanism, clean, model, seed, settings)
    served = _served(approach.mechanism)
    shown = approach.restore(_released(served, test, seed))
    return {
        "accuracy": accuracy(model, shown, test.labels),
        **_attack(setup, seed, served),
    }


def _start(setup: Setup, seed: int, view: Records) -> nn.Module:
    """The network of the clean part, seen as this approach shows it."""
    if torch.equal(view.inputs, setup.clean(seed).inputs):
        return clean_model(setup, seed)
    return learned(setup, seed, view.inputs, view.labels, setup.clean_steps)


def _approach(setup: Setup, seed: int, mechanism: str, settings: dict[str, Any]) -> Approach:
    with seeded(seed, "fit", mechanism):
        return build(mechanism, setup.clean(seed), clean_model(setup, seed), seed, settings)


@torch.no_grad()
def _released(mechanism: Mechanism, records: Records, seed: int) -> Tensor:
    with seeded(derive(seed, "release")):
        parts = zip(records.inputs.split(512), records.labels.split(512), strict=True)
        return torch.cat([mechanism.release(x, c) for x, c in parts])


def _served(mechanism: Mechanism) -> Mechanism:
    conditional = getattr(mechanism, "num_classes", None) is not None
    return Served(mechanism) if conditional else mechanism


def _attack(setup: Setup, seed: int, mechanism: Mechanism) -> dict[str, Any]:
    known, target = setup.known(seed), setup.target()
    scene = Scene.of(mechanism, known, target, seed=seed)
    outcomes = {attack.name: attack.run(scene) for attack in _attacks(setup, mechanism)}
    means = torch.stack([known.inputs[known.labels == c].mean(0) for c in range(known.num_classes)])
    errors = {"class_mean": _errors(means[target.labels], target.inputs)}
    figures: dict[str, Any] = {}
    for name, outcome in outcomes.items():
        assert outcome.reconstructions is not None
        errors[name] = _errors(outcome.reconstructions, target.inputs)
        measured = measure(outcome.reconstructions, target.inputs, target.labels, means)
        figures[name] = {"leak": measured.leak.value, "leak_95": measured.leak_95.value}
        if measured.ssim is not None:
            figures[name]["ssim"] = measured.ssim.value
    if setup.gallery:
        figures["linkage"] = _linkage(setup, scene)
    return {"attacks": figures, "errors": {name: _rounded(e) for name, e in errors.items()}}


def _attacks(setup: Setup, mechanism: Mechanism) -> list[Attack]:
    attacks: list[Attack] = [LinearAttack()]
    if setup.decoder.steps:
        attacks.append(NetworkAttack(setup.decoder))
    layer = getattr(getattr(mechanism, "mechanism", mechanism), "layer", None)
    if setup.map_steps and isinstance(layer, ConditionalConv2d):
        attacks.append(MapAttack(setup.map_steps))
    return attacks


def _linkage(setup: Setup, scene: Scene) -> dict[str, float]:
    count = min(setup.gallery, len(scene.target))
    part = replace(scene, target=scene.target.subset(torch.arange(count)), seen=scene.seen[:count])
    outcome = LinkageAttack(setup.gallery).run(part)
    return {"top1": outcome.figures[outcome.headline], "chance": outcome.chance}


def _errors(guess: Tensor, records: Tensor) -> Tensor:
    return (guess - records).square().flatten(1).sum(1)


def _rounded(values: Tensor) -> list[float]:
    return [float(f"{value:.5g}") for value in values.tolist()]
