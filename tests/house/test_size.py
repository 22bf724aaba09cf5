"""Files and functions stay small enough to be read."""

from __future__ import annotations

from statistics import median, quantiles

from tests.house.source import ROOT, body_lines, functions, lines, modules, where


def test_no_file_is_longer_than_400_lines() -> None:
    files = [*modules(), *(ROOT / "tests").rglob("*.py")]
    long = {where(path): lines(path) for path in files if lines(path) > 400}
    assert not long


def test_the_median_file_has_at_most_about_150_lines() -> None:
    assert median(lines(path) for path in modules()) <= 160


def test_nine_in_ten_functions_are_shorter_than_30_lines() -> None:
    sizes = [body_lines(function) for path in modules() for function in functions(path)]
    assert quantiles(sizes, n=10)[-1] < 30
