"""`sfumato train`: your data and your model, or releases that someone handed you."""

from sfumato.cli.train.command import COMMAND as COMMAND
from sfumato.cli.train.command import TrainOptions as TrainOptions
