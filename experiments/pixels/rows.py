"""The rows of a table: a selector, the predictor trained for it, its settings."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from torch import nn

from sfumato.errors import SettingError
from sfumato.pixels import predictors, selectors
from sfumato.pixels.evaluation import Contender
from sfumato.pixels.scenes import Scenes
from sfumato.pixels.schedules import NoiseSchedule, TemperatureSchedule
from sfumato.pixels.selectors import Selector
from sfumato.pixels.training import GainSettings, PixelRecipe

PREDICTORS = {
    "unet": predictors.UNet,
    "kernel": predictors.KernelInterpolation,
    "kernel-unet": predictors.KernelUNet,
}


@dataclass(frozen=True)
class Row:
    """One row of a table at one budget or price.

    Args:
        name: unique in its table.
        selector: a class of `sfumato.pixels.selectors`.
        settings: its further arguments.
        predictor: a key of `PREDICTORS`.
        predictor_settings: its further arguments.
        rounds: in how many rounds, or of which shares, pixels are bought.
        sees: whether the selector looks at the labels that were bought.
        oracle: whether it is the label-seeing headroom.
        recipe: changes of the table's recipe.
        weight: the price of a pixel, in place of a budget.
        compare: names of rows that it is held against.
        budgets: only these, where not all.
    """

    name: str
    selector: str = "Grid"
    settings: dict[str, Any] = field(default_factory=dict)
    predictor: str = "unet"
    predictor_settings: dict[str, Any] = field(default_factory=dict)
    rounds: int | tuple[float, ...] = 1
    sees: bool = False
    oracle: bool = False
    recipe: dict[str, Any] = field(default_factory=dict)
    weight: float | None = None
    compare: tuple[str, ...] = ()
    budgets: tuple[int, ...] = ()

    def contender(self) -> Contender:
        """What is trained and scored."""
        return Contender(
            self.name, self.make_selector, self.make_predictor, self.rounds, self.oracle
        )

    def make_selector(self, scenes: Scenes, predictor: nn.Module) -> Selector:
        """The selector before any training."""
        more = dict(self.settings)
        if self.sees:
            more["values"] = scenes.task.channels
        if self.selector == "Uncertainty":
            more |= {"predictor": predictor, "values": scenes.task.channels}
        made: Selector = getattr(selectors, self.selector)(scenes.channels, scenes.size, **more)
        return made

    def make_predictor(self, scenes: Scenes) -> nn.Module:
        """The predictor before any training."""
        kind = PREDICTORS[self.predictor]
        made: nn.Module = kind(scenes.channels, scenes.task, **self.predictor_settings)
        return made

    def fitted(self, shared: dict[str, Any]) -> PixelRecipe:
        """The recipe of this row."""
        return recipe_of({**shared, **self.recipe})


def rows_of(config: dict[str, Any]) -> list[Row]:
    """The rows of a configuration.

    Raises:
        SettingError: an unknown selector or predictor, or a name that stands twice.
    """
    rows = [_row({**config.get("shared", {}), **given}) for given in config["rows"]]
    names = [row.name for row in rows]
    if len(set(names)) < len(names):
        raise SettingError(f"rows need names of their own: {sorted(names)}")
    for row in rows:
        if not hasattr(selectors, row.selector) or row.predictor not in PREDICTORS:
            raise SettingError(f"unknown selector or predictor: {asdict(row)}")
        if missing := set(row.compare) - set(names):
            raise SettingError(f"{row.name} is held against rows that are not there: {missing}")
    return rows


def recipe_of(settings: dict[str, Any]) -> PixelRecipe:
    """A recipe of JSON values; `noise_every` and `cooling` make the source's schedules."""
    settings = dict(settings)
    if "noise_every" in settings:
        settings["noise"] = NoiseSchedule(settings.pop("noise_every"))
    if isinstance(settings.get("temperature"), list):
        settings["temperature"] = tuple(settings["temperature"])
    if "gains" in settings:
        settings["gains"] = GainSettings(**settings["gains"])
    if "cooling" in settings:
        settings["temperature"] = TemperatureSchedule(**settings.pop("cooling"))
    return PixelRecipe(**settings)


def _row(given: dict[str, Any]) -> Row:
    for name in ("compare", "budgets"):
        given[name] = tuple(given.get(name, ()))
    if isinstance(given.get("rounds"), list):
        given["rounds"] = tuple(given["rounds"])
    return Row(**given)
