from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import sfumato
from sfumato.files import write_json
from tests.report import sample


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every command runs in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What `sf.incremental` is called with; it does nothing and finds the sample's results."""
    seen: list[dict[str, Any]] = []

    def incremental(model: Any, data: Any, **settings: Any) -> dict[str, Any]:
        seen.append({"model": model, "data": data, **settings})
        settings["on_done"]("clean-0.05/seed-0", {"accuracy": 0.861})
        results = sample.training(settings["command"])
        write_json(settings["out"] / "results.json", results)
        return results

    monkeypatch.setattr(sfumato, "incremental", incremental)
    return seen


@pytest.fixture
def no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the figures out where a test does not look at the page."""

    def write_report(run: Path) -> Path:
        (run / "report.html").write_text("<!doctype html>")
        return run / "report.html"

    monkeypatch.setattr("sfumato.report.write_report", write_report)
