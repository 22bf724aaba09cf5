"""`sfumato fit`: an obfuscator for your records and your model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

from sfumato.cli.common.command import Command
from sfumato.cli.common.folder import RunFolder


@final
@dataclass(frozen=True)
class FitOptions:
    """Fit an obfuscator against a frozen model, and measure what it leaks.

    Step 1 fits the kernels under the true labels, step 2 the soft selection for records whose
    label is unknown. The obfuscator is written to OUT/obfuscator.

    With --target_epsilon the releases of a record are (ε, δ) locally differentially private. It
    needs --kind bottleneck, or --kind additive or scales with --bound.
    """

    data: str = "digits"
    """A built-in name (digits), a folder in hub layout, or a hub id."""
    out: str | None = None
    """Folder of the run; an interrupted run in it goes on. By default runs/fit-TIME."""
    model: str | None = None
    """module:factory, called with the shape of a record and the number of classes, returns the
    model; by default a small convolutional network. With --kind bottleneck the shape is
    (features,), and it is trained on clipped features without noise."""
    weights: str | None = None
    """Trained weights of the model, a safetensors file; without it the model is first trained."""
    limit: int | None = None
    """Take at most so many records for training, and as many for testing."""
    seed: int = 0
    """Seed of initial weights, order of records and noise."""
    knob: float | None = None
    """Weight of the obfuscation objective: more hides more and costs accuracy. By default that of
    sfumato.obfuscation.Plan."""
    objective: Literal["information", "full_information", "max_entropy", "wiener", "adversary"] = (
        "information"
    )
    """What the knob weighs."""
    kind: Literal["conv", "additive", "scales", "bottleneck"] = "conv"
    """Location and scale: for each label, convolutions of the record (conv) or free values for each
    of its elements (additive); or for all labels alike the record and a free scale (scales). The
    certified path is bottleneck: a few clipped features of the record, with a shift and a scale
    for each label."""
    features: int = 16
    """With --kind bottleneck: elements of a release; 8 to 64 leave room for a small ε."""
    clip: float = 1.0
    """With --kind bottleneck: the largest norm of a record's features."""
    bound: tuple[float, float] | None = None
    """With the other kinds: clamp the location of the noise to LOW HIGH, for example 0 1; a
    certificate needs it."""
    target_epsilon: float | None = None
    """Choose the scale such that the certificate says at most this ε, above 0 and at most 20."""
    delta: float = 1e-5
    """δ of the certificate: well below 1 / (number of records)."""
    releases: int = 1
    """How many releases of each record the certificate is for."""
    sigma: float | None = None
    """Scale of the noise that the fit starts from, in units of the records. By default that of
    sfumato.obfuscation.Plan."""
    epochs: int | None = None
    """Epochs of step 1; by default those of sfumato.FitSettings."""
    labels_known: bool = False
    """Labels will be known when records are served: leave out step 2."""


def run(options: FitOptions, folder: RunFolder | None) -> list[str]:
    """Fit, save, attack, and write the report."""
    from sfumato.cli.fit.run import fit_obfuscator

    assert folder is not None
    return fit_obfuscator(options, folder)


COMMAND = Command(
    name="fit",
    summary="fit an obfuscator and measure its leak",
    options=FitOptions,
    run=run,
    examples=(
        "sfumato fit --data path/to/mnist --limit 5000 --knob 2",
        "sfumato fit --data path/to/pictures --model models:make --weights model.safetensors",
        "sfumato fit --kind bottleneck --features 16 --target_epsilon 4 --delta 1e-5",
    ),
)
