"""Which picture is meant when a tool has changed how its name is written."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable
from difflib import get_close_matches
from typing import final

from sfumato.errors import DataError
from sfumato.pixels.formats.model import Picture


@final
class Names:
    """Finds pictures by name.

    A name that is not found as it is may differ in its unicode form (as macOS writes it), in its
    slashes, or lack the folders; the last only where no two pictures share their last part.

    Example:
        >>> names = Names([Picture("street/a.png", 4, 4), Picture("yard/b.png", 4, 4)])
        >>> names.find("b.png", "answers.csv").name
        'yard/b.png'
    """

    def __init__(self, pictures: Iterable[Picture]) -> None:
        self._exact = {picture.name: picture for picture in pictures}
        self._plain = _unique((_plain(name), one) for name, one in self._exact.items())
        self._last = _unique((_last(name), one) for name, one in self._exact.items())

    def find(self, name: str, where: str) -> Picture:
        """The picture of this name.

        Raises:
            DataError: there is none, or several could be meant.
        """
        plain = _plain(name)
        found = self._exact.get(name) or self._plain.get(plain)
        if found is None and "/" not in plain:
            found = self._last.get(plain)
        if found is None:
            near = get_close_matches(name, self._exact, 1, cutoff=0.5)
            meant = f", did you mean {near[0]!r}?" if near else ""
            raise DataError(f"{where}: there is no picture {name!r} in these rounds{meant}")
        return found


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).replace("\\", "/").removeprefix("./")


def _last(name: str) -> str:
    return _plain(name).rpartition("/")[2]


def _unique(pairs: Iterable[tuple[str, Picture]]) -> dict[str, Picture]:
    listed = list(pairs)
    count = Counter(key for key, _ in listed)
    return {key: picture for key, picture in listed if count[key] == 1}
