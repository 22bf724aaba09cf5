"""What a command is: settings that explain themselves, and a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

from sfumato.cli.common.folder import RunFolder


@final
@dataclass(frozen=True)
class Command:
    """One command of the command line.

    Args:
        name: What it is called.
        summary: One line for `sfumato --help`.
        options: A dataclass; its fields become options, their docstrings the help.
        run: Does the work, and returns the lines to print at the end. It is given an instance of
            `options` and, for options with a field `out`, the folder of the run.
        examples: Lines to copy, for the end of its help.
        positional: The one required field of `options`, if it is given without its name.
        free: Settings that may change from one call in a folder to the next; a run as a whole goes
            on with the others.
    """

    name: str
    summary: str
    options: type[Any]
    run: Callable[[Any, RunFolder | None], list[str]]
    examples: tuple[str, ...]
    positional: str = ""
    free: tuple[str, ...] = ()


@final
@dataclass(frozen=True)
class Group:
    """Commands that share their first word.

    Args:
        name: The first word.
        summary: One line for `sfumato --help`.
        about: What its own help says.
        commands: Each with its whole name, such as "pixels train".
    """

    name: str
    summary: str
    about: str
    commands: tuple[Command, ...]
