"""The page of a comparison of selectors: what it says of which results."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sfumato.cli.pixels.comparison import comparison
from sfumato.errors import StoreError
from sfumato.report.pixels.page import render_pixels, validate_pixels
from sfumato.report.pixels.pictures import marked, painted
from sfumato.report.pixels.words import verdict
from tests.report.reading import Page, check_self_contained


def cell(name: str, k: int, seed: int, miou: float, weight: float | None = None) -> dict[str, Any]:
    pixels = {"minimum": k, "mean": k, "maximum": k}
    return {
        "contender": name, "oracle": name == "oracle", "k": k, "weight": weight, "seed": seed,
        "seconds": 1.5, "loss": 0.1,
        "evaluation": {
            "figures": {"miou": miou, "accuracy": 0.9}, "headline": "miou", "pixels": pixels,
            "failed": 0.5, "pictures": 4, "seconds": 0.01,
        },
    }  # fmt: skip


def results(scores: dict[str, list[float]], ks: tuple[int, ...] = (6,)) -> dict[str, Any]:
    cells = [
        cell(name, k, seed, value)
        for name, values in scores.items()
        for k in ks
        for seed, value in enumerate(values)
    ]
    rows = [
        comparison(cells, name, over, k, True)
        for k in ks for name in scores for over in ("grid", "random") if name != over
    ]  # fmt: skip
    found: dict[str, Any] = {
        "schema": "sfumato.pixels/1",
        "command": "pixels train",
        "data": {"name": "data/streets", "train": 9, "test": 4, "size": [8, 12], "channels": 3,
                 "valid": 0.9},
        "task": {"task": "segmentation", "classes": 3, "names": ["a", "b", "c"]},
        "headline": "miou", "higher_is_better": True, "unit": "",
        "selector": "stratified" if len(ks) == 1 else None, "budgets": list(ks), "shown": ks[0],
        "cells": cells, "comparison": [row for row in rows if row], "alarms": [],
        "config": {"data": "data/streets"}, "provenance": {"date": "2026-01-01T00:00:00"},
    }  # fmt: skip
    return {**found, "verdict": verdict(found)}


GRID = {"grid": [0.50, 0.51, 0.49], "random": [0.40, 0.41, 0.43]}


@pytest.mark.parametrize(
    ("own", "begins"),
    [
        ([0.53, 0.54, 0.52], "It pays to choose: stratified reaches 53.0 % mIoU"),
        ([0.53, 0.44, 0.56], "Use the grid: stratified reaches 51.0 % mIoU"),
        ([0.45, 0.46, 0.44], "Use the grid: stratified reaches 45.0 % mIoU"),
        ([0.60], "Use the grid until more seeds tell"),
    ],
)
def test_the_first_line(own: list[float], begins: str) -> None:
    assert results({"stratified": own, **GRID})["verdict"][0].startswith(begins)


def test_several_budgets_and_the_headroom() -> None:
    scores = {"stratified": [0.53, 0.54, 0.52], **GRID, "oracle": [0.60, 0.61, 0.59]}
    found = results(scores, ks=(6, 12))
    assert found["verdict"][0] == "It pays to choose at every budget that was tried."
    assert any("closes 30 % of the gap" in line for line in found["verdict"])
    page = Page(render_pixels(found, {}))
    assert "The budget curve" in page.headings
    worse = results({**scores, "stratified": [0.4, 0.4, 0.4]}, ks=(6, 12))
    assert worse["verdict"][0].startswith("Use the grid: at no budget")


def test_the_interval_is_students() -> None:
    cells = [cell(n, 6, s, v) for n, vs in {"a": [0.5, 0.7], "grid": [0.4, 0.5]}.items()
             for s, v in enumerate(vs)]  # fmt: skip
    row = comparison(cells, "a", "grid", 6, True)
    assert row is not None
    assert row["gain"]["mean"] == pytest.approx(0.15)
    assert row["high"] - 0.15 == pytest.approx(12.706 * 0.0707107 / 2**0.5, rel=1e-4)
    less = comparison(cells, "a", "grid", 6, False)
    assert less is not None and less["gain"]["mean"] == pytest.approx(-0.15)


def test_the_page_is_one_file_with_pictures() -> None:
    found = results({"stratified": [0.53, 0.54, 0.52], **GRID})
    mask = np.zeros((2, 1, 8, 12), np.uint8)
    mask[:, 0, 2, 3] = 1
    target = np.zeros((2, 1, 8, 12), np.int64)
    tensors = {
        "image": np.zeros((2, 3, 8, 12), np.float32), "target": target, "valid": target == 0,
        "mask/grid": mask, "prediction/grid": target + 1,
    }  # fmt: skip
    html = render_pixels(found, tensors)
    assert len(Page(html).images) == 2 * 4
    check_self_contained(html)


def test_marks_lie_on_their_pixels() -> None:
    mask = np.zeros((4, 6), bool)
    mask[1, 2] = True
    large = marked(np.zeros((4, 6, 3)), mask)
    rows, columns = np.nonzero(large.sum(2))
    factor = large.shape[0] // 4
    assert rows.min() >= factor and rows.max() < 2 * factor
    assert columns.min() >= 2 * factor and columns.max() < 3 * factor


def test_classes_are_told_apart() -> None:
    target = np.arange(12).reshape(1, 3, 4)
    assert len(np.unique(painted(target, 12, (0, 11), False).reshape(12, 3), axis=0)) == 12


def test_results_of_another_kind_are_refused() -> None:
    found = results({"stratified": [0.5], **GRID})
    validate_pixels(found)
    del found["cells"][0]["evaluation"]["pixels"]
    with pytest.raises(StoreError, match=r"cells\[0\].evaluation.pixels is missing"):
        validate_pixels(found)
