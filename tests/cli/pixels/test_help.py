"""The help of the group and of its commands, and its place in the command line."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sfumato.cli import main

COMMANDS = ["train", "evaluate", "suggest", "ingest"]


@pytest.mark.parametrize("words", [["pixels", "--help"], ["pixels"]])
def test_the_group_lists_its_commands(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    out = capsys.readouterr().out
    for name in COMMANDS:
        assert f"sfumato pixels {name}" in out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_its_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pixels", name, "--help"]) == 0
    out = capsys.readouterr().out
    assert f"  sfumato pixels {name}" in out[out.index("\nexample") :]
    assert "--config FILE.yaml" in out


def test_help_does_not_load_torch() -> None:
    code = (
        "import sys; from sfumato.cli import main; main(['pixels', 'train', '--help']); "
        "print('loaded:', *sorted({'torch', 'numpy', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "loaded:"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["pixels", "nope"], "invalid choice: 'nope'"),
        (["pixels", "suggest"], "required: --pictures"),
        (["pixels", "ingest"], "required: --rounds, --answers"),
        (["pixels", "train", "--nope", "3"], "unrecognized arguments: --nope"),
    ],
)
def test_words_that_are_wrong(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.splitlines()) == 1
