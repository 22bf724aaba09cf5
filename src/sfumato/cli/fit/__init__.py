"""`sfumato fit`: an obfuscator for your records and your model."""

from sfumato.cli.fit.command import COMMAND as COMMAND
from sfumato.cli.fit.command import FitOptions as FitOptions
