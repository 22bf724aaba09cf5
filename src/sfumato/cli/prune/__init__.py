"""`sfumato prune`: a smaller network, and what it costs and is worth."""

from sfumato.cli.prune.command import COMMAND as COMMAND
from sfumato.cli.prune.command import PruneOptions as PruneOptions
