"""`sfumato prune`: a smaller network, and what it costs and is worth."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, final

from sfumato.cli.common.command import Command
from sfumato.cli.common.folder import RunFolder


@final
@dataclass(frozen=True)
class PruneOptions:
    """Take neurons out of a network one at a time until it is small enough, and report.

    The network is trained (or its weights are read), its hidden layers are made stochastic and
    trained on with max-entropy, which shows what the network can do without (spec 4). Neurons that
    never fire go at once, then the one that is missed least, with some steps of training after
    each. Out comes a plain, dense, smaller network: OUT/network, OUT/network.onnx and
    OUT/network.pt2.

    The report holds it against the same small architecture trained from scratch. Without a budget
    it stops at a tenth of the multiplications.
    """

    data: str = "digits"
    """A built-in name (digits), a folder in hub layout, or a hub id."""
    out: str | None = None
    """Folder of the run; an interrupted run in it goes on. By default runs/prune-TIME."""
    model: str | None = None
    """lenet5, vgg16, small_cnn or mlp, or module:factory, called with the shape of a record and
    the number of classes; by default small_cnn."""
    weights: str | None = None
    """Trained weights of the model, a safetensors file; without it the model is first trained."""
    multiplications: float | None = None
    """At most so many multiplications for one record; below 1 a share of those before."""
    parameters: float | None = None
    """The same for weights and biases."""
    activations: float | None = None
    """The same for the values that a run stores."""
    error: float | None = None
    """At most this share of the validation records may be wrong, for example 0.02; exit with 1
    where the other budgets cannot be met within it."""
    more_error: float | None = None
    """The same, as an addition to the error before pruning, for example 0.003."""
    method: Literal["stochastic", "plain"] = "stochastic"
    """With stochastic layers and max-entropy, or the plain network as it is."""
    importance: str = "taylor"
    """What is missed least: taylor, entropy or magnitude, torch-pruning's tp-magnitude, tp-taylor
    or tp-group-norm, or module:name of a measure of your own."""
    per_cost: bool = False
    """Divide importance by the multiplications that go with a neuron."""
    weight: float = 1e-2
    """Weight of max-entropy."""
    margin: float = 4.0
    """Noise is rewarded up to this standard deviation; its logarithm is the margin b of spec 4."""
    epochs: int | None = None
    """Epochs of training before pruning, and as many again with stochastic layers; by default 10,
    or more on few records."""
    steps: int = 20
    """Steps of training after each removal."""
    at_once: int = 1
    """Neurons removed at a time."""
    finish: int | None = None
    """Epochs of training for the small network at the end, without noise; by default as many as
    before pruning."""
    keep: tuple[str, ...] = ()
    """Names or patterns of layers that stay whole."""
    patience: int = 10
    """So many removals in a row beyond the error end the run."""
    limit: int | None = None
    """Take at most so many records for training, and as many for testing."""
    seed: int = 0
    """Seed of initial weights, order of records and noise."""
    scratch: bool = True
    """Train the same small architecture from scratch too, with as many steps."""
    recipe: dict[str, Any] = field(default_factory=dict)
    """Any field of sfumato.train.Recipe by name, for example --recipe.lr 1e-4."""


def run(options: PruneOptions, folder: RunFolder | None) -> list[str]:
    """Prune, store the network, and write the report."""
    from sfumato.cli.prune.run import prune_network

    assert folder is not None
    return prune_network(options, folder)


COMMAND = Command(
    name="prune",
    summary="take neurons out of a network, and report",
    options=PruneOptions,
    run=run,
    examples=(
        "sfumato prune",
        "sfumato prune --data path/to/mnist --model lenet5 --multiplications 0.03 --error 0.009",
        "sfumato prune --data path/to/pictures --model models:make --weights model.safetensors "
        "--more_error 0.003",
    ),
)
