"""`sfumato denoise`: which labels look wrong, and a network that does not believe them."""

from sfumato.cli.denoise.command import COMMAND as COMMAND
from sfumato.cli.denoise.command import DenoiseOptions as DenoiseOptions
