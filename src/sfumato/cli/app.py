"""From arguments to a command, and from errors to one clear line."""

from __future__ import annotations

import shlex
import sys
from argparse import ArgumentError
from collections.abc import Mapping, Sequence
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from sfumato.cli import (
    audit,
    bench,
    defend,
    demo,
    denoise,
    fit,
    pixels,
    prune,
    release,
    report,
    train,
)
from sfumato.cli.common.bounds import BoundPassed
from sfumato.cli.common.command import Command, Group
from sfumato.cli.common.folder import RunFolder
from sfumato.cli.common.parser import build, complaint, merged, nested, spelled_out
from sfumato.errors import SfumatoError
from sfumato.files import output_error

COMMANDS: tuple[Command | Group, ...] = (
    demo.COMMAND,
    train.COMMAND,
    fit.COMMAND,
    release.COMMAND,
    audit.COMMAND,
    prune.COMMAND,
    defend.COMMAND,
    denoise.COMMAND,
    pixels.COMMAND,
    bench.COMMAND,
    report.COMMAND,
)


def run(argv: Sequence[str]) -> int:
    """Run the command that `argv` names; see `sfumato.cli.main`."""
    session = _Session(argv)
    try:
        return session.run()
    except SystemExit as done:  # --help, --version, --print_config
        return done.code if isinstance(done.code, int) else 2
    except KeyboardInterrupt:
        print(f"\ninterrupted: {session.resume()}", file=sys.stderr)
        return 130
    except ArgumentError as error:
        return _failed(complaint(error, session.command))
    except BoundPassed as done:
        return _passed(done)
    except SfumatoError as error:
        session.discard()
        return _failed(str(error))
    except OSError as error:
        return _failed(str(output_error(error, Path(error.filename or session.place()))))


class _Session:
    """One call of the command line, as far as it has come."""

    def __init__(self, argv: Sequence[str]) -> None:
        self.command, self._depth = _named(argv)
        self._argv = list(argv)
        self._folder: RunFolder | None = None

    def run(self) -> int:
        parser = build(COMMANDS, _version())
        if not self._argv:
            parser.print_help()
            return 2
        if self.command is None and len(self._argv) == 1 and self._depth == 2:
            parser.parse_args([*self._argv, "--help"])
        words, changes = self._argv, {}
        if self.command is not None:
            rest, changes = nested(words[self._depth :], self.command.options)
            words = [*words[: self._depth], *spelled_out(rest, self.command.options)]
        parsed = parser.parse_args(words)
        assert self.command is not None  # the parser refuses every other first word
        for word in self._argv[: self._depth]:
            parsed = parsed[word]
        options = _options(self.command, parsed, changes)
        if hasattr(options, "out"):
            self._folder = RunFolder(self.command.name, options, self.command.free)
        for line in self.command.run(options, self._folder):
            print(line)
        return 0

    def discard(self) -> None:
        if self._folder is not None:
            self._folder.discard()

    def place(self) -> str:
        return str(self._folder.path if self._folder else Path.cwd())

    def resume(self) -> str:
        if self._folder is None:
            return "nothing was started"
        words = ["sfumato", *self._argv]
        if not any(word == "--out" or word.startswith("--out=") for word in words):
            words += ["--out", str(self._folder.path)]
        return f"what is finished is kept. Go on with\n  {shlex.join(words)}"


def _named(argv: Sequence[str]) -> tuple[Command | None, int]:
    """The command that the first words name, if they do, and how many words these are."""
    named = {command.name: command for command in COMMANDS}
    found = named.get(argv[0]) if argv else None
    if not isinstance(found, Group):
        return found, 1
    whole = {command.name: command for command in found.commands}
    return whole.get(" ".join(argv[:2])), 2


def _options(command: Command, parsed: Namespace, changes: Mapping[str, Any]) -> Any:
    values = {field.name: parsed[field.name] for field in fields(command.options)}
    return command.options(**merged(values, changes))


def _version() -> str:
    try:
        return version("sfumato")
    except PackageNotFoundError:
        return "unknown"


def _passed(done: BoundPassed) -> int:
    """The run's own lines, and the bounds that it passes."""
    for line in done.lines:
        print(line)
    for bound in done.passed:
        print(f"bound broken: {bound}", file=sys.stderr)
    return 1


def _failed(message: str) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return 2
