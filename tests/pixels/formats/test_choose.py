"""Formats by name and by suffix."""

from __future__ import annotations

import pytest

from sfumato.errors import SettingError
from sfumato.pixels.formats import Cvat, LabelStudio, Table, format_named, format_of


@pytest.mark.parametrize("name", ["table", "overlay", "label-studio", "cvat"])
def test_by_name(name: str) -> None:
    assert format_named(name).name == name


@pytest.mark.parametrize(
    ("path", "kind"),
    [("a.csv", Table), ("A.CSV", Table), ("a.json", LabelStudio), ("a.xml", Cvat), ("a.zip", Cvat)],
    ids=["csv", "capitals", "json", "xml", "zip"],
)
def test_by_suffix(path: str, kind: type) -> None:
    assert isinstance(format_of(path), kind)


def test_what_is_no_format() -> None:
    with pytest.raises(SettingError, match="known are table, overlay, label-studio, cvat"):
        format_named("coco")
    with pytest.raises(SettingError, match="the suffix says no format"):
        format_of("answers.xlsx")
