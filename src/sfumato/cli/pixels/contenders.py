"""Selectors and predictors by the names that the command line has for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

from torch import nn

from sfumato.cli.common.settings import named
from sfumato.cli.pixels.material import SMALL
from sfumato.errors import SettingError
from sfumato.pixels import predictors, selectors
from sfumato.pixels.evaluation import Contender
from sfumato.pixels.predictors import check_predictor
from sfumato.pixels.scenes import Scenes
from sfumato.pixels.selectors import Selector
from sfumato.pixels.tasks import Segmentation
from sfumato.pixels.training import split_rounds

SELECTORS: dict[str, type[Selector]] = {
    "random": selectors.Random,
    "grid": selectors.Grid,
    "jittered": selectors.JitteredGrid,
    "edges": selectors.Edges,
    "fixed": selectors.FixedMask,
    "stratified": selectors.Stratified,
    "expected-error": selectors.ExpectedError,
    "top-k": selectors.TopK,
    "uncertainty": selectors.Uncertainty,
    "gumbel": selectors.GumbelMask,
    "probabilistic": selectors.Probabilistic,
    "l1": selectors.L1Mask,
}
ORACLE = "oracle"
PRICED = ("gumbel", "probabilistic", "l1")
UNTRAINED = ("grid", "jittered", "random", "edges")
"""What can choose without any training."""
PREDICTORS: dict[str, Callable[..., nn.Module]] = {
    "unet": predictors.UNet,
    "kernel": predictors.KernelInterpolation,
    "kernel-unet": predictors.KernelUNet,
}
LOOKING = ("stratified", "expected-error", "top-k", "uncertainty")
"""What can choose by labels that were bought before."""
HALF_GRID = (0.5, 0.25, 0.25)
"""The rounds of uncertainty: a grid of half of the pixels, and two rounds after it."""


@final
@dataclass(frozen=True)
class Named:
    """A contender by its name.

    Args:
        name: a key of `SELECTORS`, or the oracle.
        predictor: a key of `PREDICTORS`, or module:factory.
        rounds: as they were asked for.
    """

    name: str
    predictor: str
    rounds: tuple[float, ...] = ()

    def contender(self) -> Contender:
        """What is trained and scored."""
        return Contender(
            self.name,
            self.make_selector,
            self.make_predictor,
            rounds_of(self.name, self.rounds),
            oracle=self.name == ORACLE,
        )

    def make_selector(self, scenes: Scenes, predictor: nn.Module) -> Selector:
        """The selector before any training; the oracle's predictor learns with jittered grids."""
        kind = SELECTORS["jittered" if self.name == ORACLE else self.name]
        settings: dict[str, Any] = {}
        if rounds_of(self.name, self.rounds) != 1:
            settings["values"] = scenes.task.channels
        if self.name == "uncertainty":
            classes = isinstance(scenes.task, Segmentation)
            settings |= {
                "predictor": predictor,
                "values": scenes.task.channels,
                "measure": "entropy" if classes else "variance",
                "start": 1.0,
            }
        return kind(scenes.channels, scenes.size, **settings)

    def make_predictor(self, scenes: Scenes) -> nn.Module:
        """The predictor before any training."""
        return predictor_factory(self.predictor)(scenes.channels, scenes.task)


def predictor_factory(name: str) -> Callable[..., nn.Module]:
    """What makes a predictor from channels and task.

    Raises:
        SettingError: there is no such kind, module or factory.
    """
    if name in PREDICTORS:
        return PREDICTORS[name]
    if ":" not in name:
        raise SettingError(
            f"--predictor {name} is unknown; there are {', '.join(PREDICTORS)}, and module:factory"
        )
    made: Callable[..., nn.Module] = named(name, "--predictor")
    if not callable(made):
        raise SettingError(f"--predictor {name} must be callable, (channels, task) -> nn.Module")
    return made


def predictor_for(name: str, scenes: Scenes) -> str:
    """The name of a predictor that fits the pictures; `auto` becomes that of a kind.

    Raises:
        SettingError: it cannot be made, or does not fit them: told before any work.
    """
    if name == "auto":
        return "unet" if scenes.pixels <= SMALL else "kernel-unet"
    factory = predictor_factory(name)
    try:
        made = factory(scenes.channels, scenes.task)
    except (RuntimeError, TypeError, ValueError) as error:
        raise SettingError(
            f"--predictor {name} cannot be called with {scenes.channels} channels and the task "
            f"{type(scenes.task).__name__}: {error}"
        ) from error
    if not isinstance(made, nn.Module):
        raise SettingError(f"--predictor {name} must make an nn.Module, not {type(made).__name__}")
    check_predictor(made, scenes.images[:1], scenes.task)
    return name


def rounds_of(name: str, asked: Sequence[float]) -> int | tuple[float, ...]:
    """In how many rounds, or of which shares, a selector buys."""
    if name not in LOOKING:
        return 1
    if not asked:
        return HALF_GRID if name == "uncertainty" else 1
    return int(asked[0]) if len(asked) == 1 else tuple(asked)


def check_rounds(asked: Sequence[float]) -> None:
    """Raise `SettingError` unless these are a number of rounds, or their shares."""
    whole = len(asked) == 1 and asked[0] == int(asked[0]) and asked[0] >= 1
    if asked and not whole and (len(asked) == 1 or not min(asked) > 0):
        raise SettingError(
            "--rounds is a number of rounds such as 3, or the share of each such as 0.5 0.25 0.25"
        )


def check_portions(names: Sequence[str], ks: Sequence[int], asked: Sequence[float]) -> None:
    """Raise `SettingError` for budgets that are too small for the rounds of a selector."""
    for name in names:
        for k in ks:
            split_rounds(k, rounds_of(name, asked))


def check_names(names: Sequence[str], option: str) -> None:
    """Raise `SettingError` for names that are unknown, or stand twice."""
    known = (*(name for name in SELECTORS if name not in PRICED), ORACLE)
    for name in names:
        if name not in known:
            raise SettingError(f"{option} {name} is unknown; there are {', '.join(known)}")
    if len(set(names)) < len(names):
        raise SettingError(f"{option} takes different names, not {' '.join(names)}")
