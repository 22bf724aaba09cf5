"""`sfumato defend`: a classifier that is hard to fool, and what honest attacks leave of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

from sfumato.cli.common.command import Command
from sfumato.cli.common.folder import RunFolder


@final
@dataclass(frozen=True)
class DefendOptions:
    """Train a defended classifier, attack it with a suite, and report the worst.

    The report is OUT/report.html: the accuracy that is left when the worst attack counts for every
    record, every attack's own accuracy, the share of zero gradients, and a verdict on gradient
    masking. The trained network is OUT/model.safetensors. With --weights nothing is trained, and
    your own network is attacked. An interrupted run goes on where it stopped.
    """

    data: str = "digits"
    """A built-in name (digits), a folder in hub layout, or a hub id. Values lie in [0, 1]."""
    out: str | None = None
    """Folder of the run; an interrupted run in it goes on. By default runs/defend-TIME."""
    defence: (
        Literal["plain", "se-snn", "vib", "adv-bnn", "pgd", "trades", "se-snn+pgd", "smoothing"]
        | None
    ) = None
    """How it is trained; by default pgd (adversarial training), and with --weights plain: the
    model as it is. se-snn and vib alone are no defence, and are here to be seen failing."""
    model: str | None = None
    """module:factory, called with the shape of a record and the number of classes, returns the
    model; by default a small convolutional network."""
    weights: str | None = None
    """Trained weights of the defended model, a safetensors file: it is attacked as it is."""
    epsilon: float = 0.1
    """The radius to be defended, in units of the records."""
    epsilons: tuple[float, ...] = ()
    """Radii to attack at; by default half of --epsilon, --epsilon and twice that."""
    norm: Literal["linf", "l2"] = "linf"
    """Of the radius: every pixel by at most ε, or all of them together."""
    attacks: Literal["standard", "quick"] = "standard"
    """The suite; quick is for a first look and finds less."""
    records: int = 200
    """Attack so many test records; a share of them is known to within 1 / sqrt(records)."""
    certify: int | None = None
    """Certify so many test records by randomised smoothing; by default 100 with --defence
    smoothing, otherwise none. L2 radii, whatever --norm says."""
    sigma: float = 0.25
    """Scale of the noise of smoothing, in units of the records."""
    certificate_draws: int = 2000
    """Draws for a certificate; more allow larger radii."""
    alpha: float = 0.001
    """Probability that a record's certificate is false."""
    epochs: int | None = None
    """Epochs of training; by default 10, or more where there are few records."""
    steps: int = 5
    """Steps of the attack in adversarial training."""
    limit: int | None = None
    """Take at most so many records for training, and as many for testing."""
    seed: int = 0
    """Seed of initial weights, order of records and noise."""


def run(options: DefendOptions, folder: RunFolder | None) -> list[str]:
    """Train, attack, certify, and write the report."""
    from sfumato.cli.defend.run import defend

    assert folder is not None
    return defend(options, folder)


COMMAND = Command(
    name="defend",
    summary="train a classifier that is hard to fool, and attack it honestly",
    options=DefendOptions,
    run=run,
    examples=(
        "sfumato defend",
        "sfumato defend --data path/to/mnist --epsilon 0.3 --epsilons 0.1 0.2 0.3",
        "sfumato defend --defence smoothing --sigma 0.5 --certify 200",
        "sfumato defend --data path --model models:make --weights model.safetensors",
    ),
)
