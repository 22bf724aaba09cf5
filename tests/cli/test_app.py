from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import sfumato
from sfumato.cli import main
from sfumato.errors import DataError

COMMANDS = [
    "demo",
    "fit",
    "release",
    "train",
    "audit",
    "prune",
    "defend",
    "denoise",
    "report",
    "bench",
]


def test_help_lists_the_commands_with_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    described = {words[0]: words[1:] for words in lines if words}
    for command in COMMANDS:
        assert len(described[command]) > 3


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_its_options(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--help"]) == 0
    out = capsys.readouterr().out
    assert f"  sfumato {command}" in out[out.index("\nexample") :]
    assert "--config FILE.yaml" in out
    if command not in ("report", "bench"):
        assert "--out OUT" in out
        assert "A built-in name (digits), a folder in hub layout, or a hub id." in " ".join(
            out.split()
        )


def test_help_is_quick_because_it_does_not_load_torch() -> None:
    code = (
        "import sys; from sfumato.cli import main; main(sys.argv[1:]); "
        "heavy = {'torch', 'numpy', 'datasets', 'matplotlib', 'rich'} & set(sys.modules); "
        "print('loaded:', *sorted(heavy))"
    )
    for words in (["--help"], ["demo", "--help"]):
        command = [sys.executable, "-c", code, *words]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
        assert done.stdout.splitlines()[-1] == "loaded:"


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "demo" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("sfumato ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nope"], "invalid choice: 'nope'"),
        (["demo", "--nope", "3"], "unrecognized arguments: --nope"),
        (["demo", "--seeds", "many"], "--seeds: Expected a whole number. Got value: many"),
        (["demo", "--limit", "x"], "--limit: Expected a whole number or nothing. Got value: x"),
        (["demo", "--fractions", "0.1", "x"], "--fractions: Expected a number. Got value: x"),
        (
            ["fit", "--objective", "x"],
            "--objective: Expected one of 'information', 'full",
        ),
        (["release"], "required: --obfuscator"),
        (["report"], "required: --run"),
        (["demo", "--config", "missing.yaml"], "--config: File does not exist"),
        (["report", "--run", "missing"], "results.json is not there"),
        (["demo", "--plan.epoch", "3"], "--plan.epoch is unknown; there are fractions, "),
        (["demo", "--plan.learner.lr", "fast"], "--plan.learner.lr must be like 0.001, not 'fast'"),
        (["demo", "--fractions", "0.5", "1.5"], "a fraction must lie in (0, 1], not 1.5"),
        (["demo", "--workers", "-1"], "--workers must be 0 or more"),
        (["demo", "--data", "no/such/data"], "no/such/data"),
        (["train", "--model", "models"], "write module:name"),
        (["train", "--model", "no_such_module:make"], "there is no module no_such_module"),
        (["train", "--model", "json:make"], "json has no make"),
        (["train", "--released", "missing"], "missing"),
        (["fit", "--limit", "60", "--weights", "missing.safetensors"], "missing.safetensors"),
        (["release", "--obfuscator", "missing"], "missing"),
    ],
)
def test_an_error_is_one_clear_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert not list(here.rglob("results.json"))
    assert not list(here.rglob("report.html"))
    assert not list(here.glob("runs/*/config.yaml"))


def failing(error: BaseException) -> Any:
    def incremental(*_: Any, **__: Any) -> Any:
        raise error

    return incremental


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (DataError("the data is\nbroken: mend it"), "error: the data is broken: mend it\n"),
        (OSError(errno.ENOSPC, "No space left", "cells/a.json"), "error: disk full while writing"),
        (PermissionError(errno.EACCES, "denied", "cells/a.json"), "error: cannot write cells/a"),
    ],
)
def test_errors_of_the_engine(
    error: Exception,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sfumato, "incremental", failing(error))
    assert main(["demo"]) == 2
    assert capsys.readouterr().err.startswith(message)


def test_a_folder_that_cannot_be_written(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    (here / "file").write_text("")
    assert main(["demo", "--out", "file/run"]) == 2
    assert "error: cannot write" in capsys.readouterr().err


@pytest.mark.parametrize("given", [[], ["--out", "my runs"]])
def test_an_interrupted_run_says_how_to_go_on(
    given: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    here: Path,
) -> None:
    monkeypatch.setattr(sfumato, "incremental", failing(KeyboardInterrupt()))
    assert main(["demo", "--seeds", "2", *given]) == 130
    folder = "'my runs'" if given else next(here.glob("runs/demo-*")).relative_to(here)
    expected = f"sfumato demo --seeds 2 --out {folder}"
    assert capsys.readouterr().err.splitlines()[-1].strip() == expected
    assert next(here.rglob("config.yaml"))


def test_a_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("sfumato.cli.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "jsonargparse", None)
    assert main(["demo"]) == 2
    assert 'pip install "sfumato[all]"' in capsys.readouterr().err
