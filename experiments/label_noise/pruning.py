"""Pruning and label noise together (spec 4, appendix B.2)."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from experiments.label_noise.cells import suspicion
from experiments.label_noise.points import Point
from experiments.label_noise.setup import Setup
from sfumato.compression import Budget, Entropy, Taylor, collapse, count, prune
from sfumato.data.order import stratified_order
from sfumato.errors import SettingError
from sfumato.label_noise import Forward, NoisyLabels, OneStage, TwoStage, quality, train_with_noise
from sfumato.label_noise.networks import hidden_layers, with_noise
from sfumato.train import BatchLoss, Recipe, mlp, seeded, train_classifier

_HELD_OUT = 0.05
_PIECE = 4096
_FINISH = Recipe(epochs=5, min_steps=0, lr=1e-3)


@dataclass(frozen=True)
class Shape:
    """What is asked for, and how the way there is gone.

    Args:
        inputs: pixels that stay; all where None.
        widths: neurons that stay in each hidden layer.
        importance: "entropy" or "taylor".
        steps: of fine-tuning after each neuron.
        finish: fine-tuning at the end, and after pixels went.
    """

    inputs: int | None
    widths: tuple[int, ...]
    importance: str = "entropy"
    steps: int = 30
    finish: Recipe = _FINISH

    def __post_init__(self) -> None:
        if self.importance not in ("entropy", "taylor"):
            raise SettingError(f"importance is entropy or taylor, not {self.importance!r}")


def shape_of(config: dict[str, Any]) -> Shape:
    """The shape that a configuration asks for."""
    given = dict(config)
    if "finish" in given:
        given["finish"] = Recipe(**given["finish"])
    return Shape(**{**given, "widths": tuple(given["widths"])})


def pruned(setup: Setup, point: Point, seed: int, shape: Shape) -> dict[str, Any]:
    """Train SE-SNN on wrong labels, prune it on them, and the figures of what is left.

    First the pixels go whose weights pass on least, at once; then neurons, one at a time, the
    second hidden layer before the first. With Forward all fine-tuning is behind the matrix that was
    read before. No clean label is seen: nothing is chosen by an error.
    """
    noisy, method = setup.noisy(point.law, seed), point.build()
    base = method.base if isinstance(method, TwoStage) else method
    if not isinstance(base, OneStage) or base.entropy is None:
        raise SettingError(f"{point.method} is not trained with max-entropy: there is no noise")
    begun = train_with_noise(
        method, setup.make, setup.inputs, noisy, recipe=setup.recipe, seed=seed, test=setup.tested()
    )
    task = base.task if begun.matrix is None else Forward(begun.matrix, base.task)
    inputs, tested = setup.inputs.flatten(1), setup.tested()[0].flatten(1)
    model, loss = begun.model, base.loss(task)
    if shape.inputs is not None:
        kept = strongest_pixels(model, inputs, shape.inputs)
        model = narrowed(model, kept, len(setup.classes), setup.widths)
        inputs, tested = inputs[:, kept], tested[:, kept]
        train_classifier(model, inputs, noisy.labels, shape.finish, seed=seed, loss=loss)
    model = _hidden(model, inputs, noisy.labels, shape, loss, seed)
    return {
        "before": {"accuracy": begun.accuracy, "calibration_error": begun.calibration_error},
        **_figures(model, inputs, tested, setup.tested()[1], noisy),
    }


def from_scratch(setup: Setup, point: Point, seed: int, shape: Shape) -> dict[str, Any]:
    """The same small architecture, from fresh weights, by a method of label noise.

    Pixels cannot be chosen without a network: it has the ones of most variance.
    """
    noisy = setup.noisy(point.law, seed)
    inputs, tested = setup.inputs.flatten(1), setup.tested()[0].flatten(1)
    if shape.inputs is not None:
        kept = inputs.var(0).topk(shape.inputs).indices.sort().values
        inputs, tested = inputs[:, kept], tested[:, kept]
    sizes = (tuple(inputs.shape[1:]), len(setup.classes), shape.widths)
    found = train_with_noise(
        point.build(), lambda: mlp(*sizes), inputs, noisy, recipe=setup.recipe, seed=seed
    )
    return _figures(found.model, inputs, tested, setup.tested()[1], noisy)


def strongest_pixels(model: nn.Module, inputs: Tensor, count: int) -> Tensor:
    """Numbers `[count]` of the inputs that pass on most: E[x_i²] Σ_j μ_ji², of the first layer."""
    first = collapse(model).get_submodule(hidden_layers(collapse(model))[0])
    weight = first.get_parameter("weight").detach()
    if not 0 < count <= len(inputs[0]):
        raise SettingError(f"{count} of {len(inputs[0])} inputs cannot stay")
    power = torch.zeros(weight.shape[1], dtype=torch.float64)
    for part in inputs.split(_PIECE):
        power += part.double().square().sum(0)
    passed = power * weight.double().square().sum(0)
    return passed.topk(count).indices.sort().values


def narrowed(model: nn.Module, kept: Tensor, classes: int, widths: tuple[int, ...]) -> nn.Module:
    """The network on the kept inputs alone, with stochastic layers as before."""
    with seeded(0, "narrowed"):
        made = with_noise(mlp((len(kept),), classes, widths))
    state, own = model.state_dict(), made.state_dict()
    for name, value in state.items():
        state[name] = value if value.shape == own[name].shape else value[:, kept]
    made.load_state_dict(state)
    return made


def _hidden(
    model: nn.Module, inputs: Tensor, labels: Tensor, shape: Shape, loss: BatchLoss, seed: int
) -> nn.Module:
    """Prune the hidden layers, the last first, each to its width; then fine-tune."""
    held = round(_HELD_OUT * len(labels))
    order = stratified_order(labels, seed)
    part, rest = ((inputs[some], labels[some]) for some in (order[held:], order[:held]))
    names = hidden_layers(collapse(model))
    importance = Taylor() if shape.importance == "taylor" else Entropy()
    done: nn.Module | None = None
    for at in reversed(range(len(names))):
        last = at == 0
        budget = Budget(parameters=_parameters(collapse(model), at, shape.widths[at]))
        found = prune(
            model, part, rest, budget, importance=importance, loss=loss,
            steps=shape.steps, finish=shape.finish if last else None, batch_stage=False,
            keep=[name for name in names if name != names[at]], save_every=1000, seed=seed,
        )  # fmt: skip
        model, done = found.noisy(found.step), found.model
    assert done is not None
    return done


def _parameters(model: nn.Module, at: int, width: int) -> int:
    """The number of weights and biases once hidden layer `at` of a dense network is this wide."""
    sizes = _sizes(model)
    sizes[at + 1] = width
    return sum((a + 1) * b for a, b in itertools.pairwise(sizes))


def _sizes(model: nn.Module) -> list[int]:
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    return [layers[0].in_features, *(layer.out_features for layer in layers)]


def _figures(
    model: nn.Module, inputs: Tensor, tested: Tensor, labels: Tensor, noisy: NoisyLabels
) -> dict[str, Any]:
    found = quality(model, tested, labels)
    plain = collapse(model)
    return {
        "accuracy": found.accuracy,
        "calibration_error": found.calibration_error,
        "shape": _sizes(plain),
        **asdict(count(plain, tuple(inputs.shape[1:]))),
        "auc_loss": suspicion(model, inputs, noisy)["auc_loss"],
    }
