"""XML that is written correctly and read without harm."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Tree
from xml.parsers import expat

from sfumato.errors import DataError

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def parsed(found: bytes, path: Path) -> Tree.Element:
    """The root element of a document.

    A document type is refused, and with it every entity: none of the tools writes one, and
    entities can name other files or grow without bound.

    Raises:
        DataError: it is not whole, is no XML, or has a document type.
    """
    builder = Tree.TreeBuilder()
    reader = expat.ParserCreate()

    def refuse(*_: Any) -> None:
        raise DataError(f"{path} has a document type (<!DOCTYPE>), which is not read: remove it")

    reader.StartDoctypeDeclHandler = refuse
    reader.StartElementHandler = builder.start
    reader.EndElementHandler = builder.end
    reader.CharacterDataHandler = builder.data
    try:
        reader.Parse(found, True)
    except expat.ExpatError as error:
        raise DataError(f"{path} is no whole XML file ({error}): export it again") from error
    return builder.close()


def rendered(root: Tree.Element) -> str:
    """The document as indented text."""
    Tree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + Tree.tostring(root, "unicode") + "\n"


def check_text(text: str) -> str:
    """The text, if XML can hold it.

    Raises:
        DataError: it has a control character.
    """
    if found := _FORBIDDEN.search(text):
        raise DataError(f"{text!r} has the character {found.group()!r}, which XML cannot hold")
    return text


def as_text(found: Any) -> str:
    """A number or text of a file as text."""
    return "" if found is None else str(found)
