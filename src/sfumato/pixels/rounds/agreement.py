"""Whether rounds that are there are about what is asked for now."""

from __future__ import annotations

from pathlib import Path

from sfumato.errors import StoreError
from sfumato.pixels.formats.model import Legend, Picture

About = tuple[tuple[Picture, ...], tuple[int, int], Legend]


def check_same(folder: Path, asked: About, stored: About) -> None:
    """Make sure that pictures, size and legend are the same.

    Raises:
        StoreError: one of them is not.
    """
    if asked[1] != stored[1]:
        raise StoreError(
            f"the rounds in {folder} are about a grid of {stored[1][0]}×{stored[1][1]}, not "
            f"{asked[1][0]}×{asked[1][1]}: use a selector of that size, or another folder"
        )
    if asked[2] != stored[2]:
        raise StoreError(
            f"the rounds in {folder} take {_said(stored[2])}, not {_said(asked[2])}: use another "
            "folder"
        )
    new, old = ({picture.name: picture for picture in about[0]} for about in (asked, stored))
    for name in sorted(new.keys() | old.keys()):
        if new.get(name) != old.get(name):
            what = "is new" if name not in old else "is gone" if name not in new else "has changed"
            raise StoreError(
                f"picture {name!r} {what} since the rounds in {folder} were begun: put it back as "
                "it was, or begin rounds in another folder"
            )
    if asked[0] != stored[0]:
        raise StoreError(f"the pictures come in another order than in {folder}: sort them by name")


def _said(legend: Legend) -> str:
    if legend.numbers:
        return f"numbers in {legend.unit!r}" if legend.unit else "numbers"
    return f"the classes {', '.join(legend.classes)}"
