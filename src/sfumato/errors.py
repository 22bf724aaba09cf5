"""The errors a user can meet. Each message says what is wrong, where, and what to do."""

from __future__ import annotations


class SfumatoError(Exception):
    """Base of every error that sfumato raises on purpose."""


class DataError(SfumatoError, ValueError):
    """Records that cannot be used: wrong labels, NaN, mixed sizes, a missing column, a bad file."""


class SettingError(SfumatoError, ValueError):
    """A setting outside of what it may be."""


class StoreError(SfumatoError):
    """A file of ours is truncated, was changed, or does not match what it is used with."""


class OutputError(SfumatoError):
    """A result could not be written: the folder is not writable, or the disk is full."""


class MissingDependency(SfumatoError, ImportError):
    """An optional package is needed. The message names the extra that installs it."""


class UnauditedWarning(UserWarning):
    """An obfuscator was loaded of which nobody has measured what it leaks."""
