from __future__ import annotations

import pytest

from sfumato.report.common import numerals, tables, wording


@pytest.mark.parametrize(
    ("value", "digits", "text"), [(-0.0004, 3, "0.000"), (-0.0121, 3, "−0.012"), (93.14, 1, "93.1")]
)
def test_number(value: float, digits: int, text: str) -> None:
    assert numerals.number(value, digits) == text


def test_a_figure_shows_its_spread_and_its_seeds() -> None:
    cell = numerals.accuracy({"mean": 0.9314, "std": 0.004, "n": 3})
    assert cell.striptags() == "93.1 ± 0.4 (3)"


def test_one_seed_has_no_spread() -> None:
    assert numerals.leak({"mean": 0.3, "std": 0.0, "n": 1}).striptags() == "0.300 (1)"


def test_percent() -> None:
    assert [numerals.percent(share) for share in (0.05, 0.1, 0.15, 0.125, 1.0)] == [
        "5 %",
        "10 %",
        "15 %",
        "12.5 %",
        "100 %",
    ]


def test_settings_are_flat() -> None:
    nested = {"a": {"b": 1, "c": {"d": [0.05, 0.1]}}, "on": True, "none": None, "empty": {}}
    assert tables.flat(nested) == [
        ("a.b", "1"),
        ("a.c.d", "0.05, 0.1"),
        ("on", "yes"),
        ("none", "–"),
        ("empty", "–"),
    ]


def test_units_stay_with_their_numbers() -> None:
    sentence = wording.unbroken("with σ = 0.5, 93.1 ± 0.4 % at 5 %")
    assert sentence.split(" ") == [
        "with",
        "σ\xa0=\xa00.5,",
        "93.1\xa0±\xa00.4\xa0%",
        "at",
        "5\xa0%",
    ]
