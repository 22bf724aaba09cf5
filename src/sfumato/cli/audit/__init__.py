"""`sfumato audit`: what an obfuscator leaks, as a privacy card."""

from sfumato.cli.audit.command import COMMAND as COMMAND
from sfumato.cli.audit.command import AuditOptions as AuditOptions
