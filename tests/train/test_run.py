"""What a run writes down so that it can be made again."""

from __future__ import annotations

import json
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import torch

from sfumato.train import provenance


def test_keys() -> None:
    found = provenance()
    assert found.keys() == {"date", "command", "revision", "versions", "machine"}
    assert {"python", "torch", "numpy", "safetensors", "sfumato"} <= found["versions"].keys()
    assert found["versions"]["torch"] == torch.__version__.split("+")[0] or torch.__version__
    assert found["machine"].keys() == {"system", "processor", "cores", "threads", "accelerator"}
    assert found["machine"]["threads"] == 1
    json.dumps(found, allow_nan=False)


def test_the_date_is_now_and_has_a_zone() -> None:
    date = datetime.fromisoformat(provenance()["date"])
    assert abs(datetime.now(timezone.utc) - date) < timedelta(minutes=1)


def test_the_command_names_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", [str(Path("/some/where/sfumato")), "demo", "--seeds", "1"])
    assert provenance()["command"] == "sfumato demo --seeds 1"


def test_outside_of_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    assert provenance()["revision"] is None


def test_inside_of_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "one"]):
        subprocess.run(["git", *command], check=True)
    clean = provenance()["revision"]
    assert len(clean) == 12
    (tmp_path / "file").write_text("changed", encoding="utf-8")
    assert provenance()["revision"] == f"{clean}-dirty"


def test_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert provenance()["revision"] is None
