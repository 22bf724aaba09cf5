"""A predictor and its selector trained together, with a budget or a price per pixel."""

from sfumato.pixels.training.budget import Budget as Budget
from sfumato.pixels.training.budget import split_rounds as split_rounds
from sfumato.pixels.training.buying import Bought as Bought
from sfumato.pixels.training.buying import buy as buy
from sfumato.pixels.training.gains import Gains as Gains
from sfumato.pixels.training.recipe import GainSettings as GainSettings
from sfumato.pixels.training.recipe import PixelRecipe as PixelRecipe
from sfumato.pixels.training.train import Trained as Trained
from sfumato.pixels.training.train import train as train
