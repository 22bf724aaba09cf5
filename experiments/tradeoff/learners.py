"""Learners that know the noise: the same for every mechanism that they are tried on."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.tradeoff.mechanisms import Approach
from experiments.tradeoff.setup import Setup, Standardised, train
from sfumato.data import Records
from sfumato.obfuscation import Denoiser, Screening
from sfumato.obfuscation.learner import ScaleInput, averaged_prediction, consistency, with_scale
from sfumato.train import Recipe, accuracy, generator, seeded, train_classifier

Learn = Callable[[Setup, int, Approach, nn.Module, Records, Records, Records], float]
"""Setup, seed, approach, network of the clean part, clean part, releases, test -> accuracy."""


def _plain(
    setup: Setup, seed: int, approach: Approach, model: nn.Module, clean: Records,
    released: Records, test: Records,
) -> float:  # fmt: skip
    """Go on training on clean and released records together."""
    train(model, seed, *mixed(setup, clean, released), setup.steps)
    return accuracy(model, test.inputs, test.labels)


def _averaged(
    setup: Setup, seed: int, approach: Approach, model: nn.Module, clean: Records,
    released: Records, test: Records,
) -> float:  # fmt: skip
    """As plain, and test records are predicted under 16 fresh draws of the noise."""
    train(model, seed, *mixed(setup, clean, released), setup.steps)

    def noisy(x: Tensor) -> Tensor:
        return approach.restore(approach.mechanism.release(x, torch.zeros(len(x)).long()))

    with seeded(seed, "averaged"):
        found = averaged_prediction(model, noisy, test.inputs).argmax(1)
    return float((found == test.labels).float().mean())


def _told(
    setup: Setup, seed: int, approach: Approach, model: nn.Module, clean: Records,
    released: Records, test: Records,
) -> float:  # fmt: skip
    """A further channel says which records are releases."""
    channels = clean.shape[0]
    wider = with_scale(clean.inputs, torch.zeros(len(clean)))
    with seeded(seed, "network"):
        fresh = ScaleInput(Standardised(wider, clean.num_classes), channels)
    train(fresh, seed, clean.inputs, clean.labels, setup.clean_steps)
    inputs, labels = mixed(setup, clean, released)
    flags = (torch.arange(len(inputs)) >= setup.repeat * len(clean)).float()
    train(fresh, seed, with_scale(inputs, flags), labels, setup.steps)
    return accuracy(fresh, test.inputs, test.labels)


def _denoised(
    setup: Setup, seed: int, approach: Approach, model: nn.Module, clean: Records,
    released: Records, test: Records,
) -> float:  # fmt: skip
    """Releases go through the best linear denoiser of the clean part, which knows no labels."""
    denoise = Denoiser(approach.mechanism, clean, labelled=False)
    better = Records(denoise(released.inputs), released.labels, released.classes)
    train(model, seed, *mixed(setup, clean, better), setup.steps)
    return accuracy(model, test.inputs, test.labels)


def _consistent(
    setup: Setup, seed: int, approach: Approach, model: nn.Module, clean: Records,
    released: Records, test: Records,
) -> float:  # fmt: skip
    """Two screenings of each record must be told alike."""
    inputs, labels = mixed(setup, clean, released)
    optimizer, recipe = torch.optim.Adam(model.parameters()), Recipe()
    order, screen = generator(seed, "consistent"), Screening()
    everywhere = torch.ones(recipe.batch_size, dtype=torch.bool)
    with seeded(seed, "consistent"):
        for step in range(setup.steps):
            optimizer.param_groups[0]["lr"] = recipe.rate(step, setup.steps)
            pick = torch.randint(len(inputs), (recipe.batch_size,), generator=order)
            views = [model(screen(inputs[pick], everywhere)) for _ in range(2)]
            task = sum(F.cross_entropy(view, labels[pick]) for view in views) / 2
            optimizer.zero_grad()
            (task + consistency(*views)).backward()
            optimizer.step()
    return accuracy(model, test.inputs, test.labels)


def _screened(schedule: str) -> Learn:
    def learn(
        setup: Setup, seed: int, approach: Approach, model: nn.Module, clean: Records,
        released: Records, test: Records,
    ) -> float:  # fmt: skip
        """Random boxes of the releases are hidden at every step (spec 3 §4.1)."""
        screen = Screening(schedule=schedule)  # pyright: ignore[reportArgumentType]
        first = setup.repeat * len(clean)
        train_classifier(
            model,
            *mixed(setup, clean, released),
            Recipe(epochs=1, min_steps=setup.steps),
            seed=seed,
            augment=lambda x, index, behind: screen.at(behind)(x, index >= first),
        )
        return accuracy(model, test.inputs, test.labels)

    return learn


LEARNERS: dict[str, Learn] = {
    "plain": _plain,
    "averaged": _averaged,
    "told": _told,
    "denoised": _denoised,
    "consistent": _consistent,
    "screened": _screened("constant"),
    "screened, falling": _screened("falling"),
    "screened, rising": _screened("rising"),
}


def mixed(setup: Setup, clean: Records, released: Records) -> tuple[Tensor, Tensor]:
    """The clean records, as often as the setup says, and then the releases."""
    again = (setup.repeat, *(1,) * len(clean.shape))
    inputs = torch.cat([clean.inputs.repeat(again), released.inputs])
    return inputs, torch.cat([clean.labels.repeat(setup.repeat), released.labels])
