"""Words and spaces that more than one page has."""

from __future__ import annotations

import re

LEAK = (
    "Leak is the share of a record that an attacker who knows everything except the draw of the "
    "noise gets back from its release, beyond what the label alone tells: 0 is nothing, 1 is the "
    "whole record, and below 0 is worse than guessing the mean picture of the class."
)


def unbroken(sentence: str) -> str:
    """Keep a number and its unit, and a symbol and its value, on one line."""
    sentence = re.sub(r"(\d) %", "\\1\u00a0%", sentence)
    return re.sub(r"(\w) ([=±]) (?=[\d−-])", "\\1\u00a0\\2\u00a0", sentence)
