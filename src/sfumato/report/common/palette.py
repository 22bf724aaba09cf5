"""The page's colours. Figures are drawn in the light ones and then follow the reader's scheme."""

from __future__ import annotations

import re

# name -> (light, dark). The light ones must differ from each other: a figure drawn with them is
# recoloured by name afterwards.
COLOURS: dict[str, tuple[str, str]] = {
    "paper": ("#fbfaf6", "#17181b"),
    "panel": ("#f3f0e8", "#1f2125"),
    "ink": ("#24221e", "#e8e4da"),
    "muted": ("#6b665c", "#a29c90"),
    "rule": ("#dfdacd", "#35373c"),
    "ours": ("#1f5a8c", "#7db7e8"),
    "unscreened": ("#7fa8cb", "#4f7ea6"),
    "obfuscated": ("#2f8583", "#67c2bd"),
    "isotropic": ("#b3501f", "#ec9a62"),
    "mean": ("#7b5ea7", "#b79ee0"),
    "clean": ("#8d8678", "#9b9588"),
    "ceiling": ("#55723a", "#a5c583"),
}


def light(name: str) -> str:
    """The colour to draw `name` with."""
    return COLOURS[name][0]


def follow_scheme(svg: str) -> str:
    """Replace every colour of the palette by its CSS variable."""
    names = {shades[0]: name for name, shades in COLOURS.items()}
    pattern = re.compile("|".join(names))
    return pattern.sub(lambda found: f"var(--{names[found.group()]})", svg)


def css_variables(scheme: int) -> str:
    """The declarations of all colours: `scheme` 0 is light, 1 is dark."""
    return " ".join(f"--{name}: {shades[scheme]};" for name, shades in COLOURS.items())
