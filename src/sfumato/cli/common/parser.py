"""The parser of all commands, made from their dataclasses."""

from __future__ import annotations

import json
import re
from argparse import ArgumentError, RawDescriptionHelpFormatter
from collections.abc import Mapping, Sequence
from dataclasses import fields
from inspect import cleandoc
from typing import Any, final, get_type_hints

import yaml
from jsonargparse import ArgumentParser, DefaultHelpFormatter, set_parsing_settings

from sfumato.cli.common.command import Command, Group
from sfumato.errors import SettingError

_HELP = "Take settings from a YAML file, for example the config.yaml of a run; options win over it."


@final
class _Formatter(RawDescriptionHelpFormatter, DefaultHelpFormatter):
    """Keeps the lines of an example as they are."""


def build(commands: Sequence[Command | Group], version: str) -> ArgumentParser:
    """The parser of `sfumato`; errors are raised as `argparse.ArgumentError`."""
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(
        prog="sfumato",
        description="Obfuscate records before the compute sees them, and measure what still leaks.",
        epilog="Start with  sfumato demo  and open the report that it names.",
        formatter_class=_Formatter,
        exit_on_error=False,
        version=f"{version}\n",
    )
    listed = parser.add_subcommands(dest="command", title="commands", required=False)
    for command in commands:
        if isinstance(command, Command):
            listed.add_subcommand(command.name, _of(command), help=command.summary)
        else:
            made = _group(command)
            listed.add_subcommand(command.name, made, help=command.summary)
            _fill(made, command)
    return parser


def _group(group: Group) -> ArgumentParser:
    lines = ["examples:", *(command.examples[0] for command in group.commands)]
    return ArgumentParser(
        description=group.about,
        epilog="\n  ".join(lines),
        formatter_class=_Formatter,
        exit_on_error=False,
    )


def _fill(parser: ArgumentParser, group: Group) -> None:
    """Only after the group itself is listed: so jsonargparse wants it."""
    listed = parser.add_subcommands(dest="command", title="commands")
    for command in group.commands:
        listed.add_subcommand(command.name.split()[-1], _of(command), help=command.summary)


def _of(command: Command) -> ArgumentParser:
    parser = ArgumentParser(
        description=cleandoc(command.options.__doc__ or command.summary),
        epilog="\n  ".join(["example:" if len(command.examples) == 1 else "examples:",
                            *command.examples]),
        formatter_class=_Formatter,
        exit_on_error=False,
    )  # fmt: skip
    parser.add_argument("--config", action="config", metavar="FILE.yaml", help=_HELP)
    alone = bool(command.positional)
    parser.add_class_arguments(command.options, as_group=False, as_positional=alone)
    return parser


def spelled_out(words: Sequence[str], options: type[Any]) -> list[str]:
    """Let flags stand alone and lists without brackets.

    `--full` becomes `--full=true`, `--fractions 0.05 0.1` and `--fractions 0.05,0.1` become
    `--fractions=[0.05,0.1]`; everything else stays as it is.
    """
    hints = get_type_hints(options)
    flags = {f"--{field.name}" for field in fields(options) if hints[field.name] is bool}
    lists = {f"--{field.name}" for field in fields(options)
             if str(hints[field.name]).startswith("tuple")}  # fmt: skip
    spelled: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        following = []
        while word in flags | lists and rest and not rest[0].startswith("--"):
            following.append(rest.pop(0))
        if word in flags:
            spelled += [word, *following] if following else [f"{word}=true"]
        elif word in lists and following:
            spelled.append(f"{word}=[{','.join(following).strip('[]')}]")
        else:
            spelled.append(word)
    return spelled


def nested(words: Sequence[str], options: type[Any]) -> tuple[list[str], dict[str, Any]]:
    """Take options that go into nested settings, like `--plan.learner.epochs 5`, out of `words`.

    Returns:
        The other words, and `{"plan": {"learner": {"epochs": 5}}}`.

    Raises:
        SettingError: one of them has no value.
    """
    hints = get_type_hints(options)
    heads = {field.name for field in fields(options) if str(hints[field.name]).startswith("dict")}
    kept: list[str] = []
    changes: dict[str, Any] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, given, value = word.removeprefix("--").partition("=")
        head, *path = name.split(".")
        if not word.startswith("--") or head not in heads or not path:
            kept.append(word)
            continue
        if not given:
            if not rest or rest[0].startswith("--"):
                raise SettingError(f"{word} needs a value")
            value = rest.pop(0)
        place = changes.setdefault(head, {})
        for step in path[:-1]:
            place = place.setdefault(step, {})
        place[path[-1]] = typed(value)
    return kept, changes


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes` in it, level by level."""
    result = dict(base)
    for key, value in changes.items():
        inner = result.get(key)
        if isinstance(inner, Mapping) and isinstance(value, Mapping):
            value = merged(inner, value)
        result[key] = value
    return result


def typed(value: str) -> Any:
    """What a text says: "60" and "1e-3" are numbers, "[1, 2]" is a list."""
    try:
        return json.loads(value)  # knows 1e-3 as a number, which YAML does not
    except ValueError:
        return yaml.safe_load(value)


def complaint(error: ArgumentError, command: Command | None) -> str:
    """One line that says which option is wrong, what was given and what is wanted."""
    message = " ".join(str(error).split())
    message = re.sub(
        r"(?:\ba )?<class '([\w.]+)'>", lambda found: _TYPES.get(found[1], found[1]), message
    )
    message = re.sub(r"(?:\ba )?typing\.Literal\[(.*?)\]", r"one of \1", message)
    message = re.sub(r'Parser key "([\w.]+)":', r"--\1:", message)
    union = re.match(
        r"(.*?) ?Does not validate .*?Subtypes: \[(.*?)\] .*Given value: (.*)", message
    )
    if union:
        message = f"{union[1]} Expected {union[2].replace(', ', ' or ')}. Got value: {union[3]}"
    message = message.replace("argument command: ", "")
    name = ""
    if command is not None:
        name = f" {command.name}"
        said, required, missing = message.partition("required: ")
        missing = missing.replace(f"{command.name.replace(' ', '.')}.", "--")
        message = f"{said}{required}{missing}"
        if command.positional:
            message = message.replace(f"--{command.positional}", command.positional)
    return f"{message.rstrip('. ')}; see  sfumato{name} --help"


_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "tuple": "a list of numbers",
    "dict": "names and values",
    "NoneType": "nothing",
}
