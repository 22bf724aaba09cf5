"""`sfumato release`: one obfuscated copy of every record, to be handed on."""

from sfumato.cli.release.command import COMMAND as COMMAND
from sfumato.cli.release.command import ReleaseOptions as ReleaseOptions
