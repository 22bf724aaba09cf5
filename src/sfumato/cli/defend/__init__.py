"""`sfumato defend`: a classifier that is hard to fool, and what honest attacks leave of it."""

from sfumato.cli.defend.command import COMMAND as COMMAND
from sfumato.cli.defend.command import DefendOptions as DefendOptions
