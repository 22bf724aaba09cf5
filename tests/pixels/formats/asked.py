"""Sheets that the tests of several formats use."""

from __future__ import annotations

from sfumato.pixels.formats import Legend, Picture, Sheet, Suggestion

CLASSES = Legend(("sky", "road & <kerb>", "Bäume"))
METRES = Legend(unit="m")
PICTURES = (
    Picture("a.jpg", 7, 5),
    Picture("a.png", 1, 1),
    Picture("street one/Straße ü.png", 333, 1021),
)
ASKED = (
    Suggestion("a.jpg", 0, 0),
    Suggestion("a.jpg", 6, 4),
    Suggestion("a.png", 0, 0),
    Suggestion("street one/Straße ü.png", 332, 1020),
    Suggestion("street one/Straße ü.png", 17, 511),
)


def sheet(legend: Legend = CLASSES) -> Sheet:
    return Sheet(PICTURES, ASKED, legend)
