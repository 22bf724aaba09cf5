"""A first call that is refused leaves no folder that is locked to its settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from sfumato.cli.common.folder import RunFolder
from sfumato.cli.common.settings import named
from sfumato.errors import SettingError


@dataclass(frozen=True)
class Options:
    out: str
    seed: int = 0


def test_empty_folders_go_with_it(tmp_path: Path) -> None:
    folder = RunFolder("fit", Options(str(tmp_path / "run")))
    (tmp_path / "run" / "state" / "deep").mkdir(parents=True)
    folder.discard()
    assert not (tmp_path / "run").exists()


def test_what_was_computed_stays(tmp_path: Path) -> None:
    folder = RunFolder("fit", Options(str(tmp_path / "run")))
    (tmp_path / "run" / "cells").mkdir()
    (tmp_path / "run" / "cells" / "a.json").write_text("{}")
    folder.discard()
    assert (tmp_path / "run" / "cells" / "a.json").exists()
    assert (tmp_path / "run" / "config.yaml").exists()


@pytest.mark.parametrize("name", ["nowhere:x", "json:nothing", "json"])
def test_the_option_is_named(name: str) -> None:
    with pytest.raises(SettingError, match=f"--importance {name}"):
        named(name, "--importance")
