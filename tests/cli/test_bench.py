from __future__ import annotations

from pathlib import Path

import pytest

from sfumato.cli import main
from sfumato.files import read_json

FEW = ["--quick", "--rounds", "1", "--only", "inference on the mean"]


def test_it_writes_the_figures_and_prints_the_table(
    capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    assert main(["bench", "layers", *FEW]) == 0
    (run,) = here.glob("runs/bench-*")
    assert {path.name for path in run.iterdir()} == {"cells", "config.yaml", "results.json"}
    results = read_json(run / "results.json")
    assert [row["rounds"] for row in results["results"]] == [1, 1]
    assert results["setting"]["only"] == "inference on the mean"
    printed = capsys.readouterr().out.splitlines()
    assert "2 of 2 done" in "".join(printed)
    assert any(line.startswith("stochastic Linear 16->16, batch 4") for line in printed)
    assert any(line.startswith("  ours  StochasticLinear ") for line in printed)
    assert printed[-1] == f"figures: {run.relative_to(here) / 'results.json'}"


def test_a_folder_holds_one_run_that_goes_on(
    capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    assert main(["bench", "layers", *FEW, "--out", "run"]) == 0
    assert main(["bench", "--config", "run/config.yaml", "--out", "run"]) == 0  # all is there
    printed = capsys.readouterr().out
    assert printed.count("2 of 2 done") == 1
    assert main(["bench", "layers", *FEW, "--dtype", "bf16", "--out", "run"]) == 2
    assert "dtype 'fp32' -> 'bf16'" in capsys.readouterr().err


def test_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--help"]) == 0
    out = capsys.readouterr().out
    assert "  sfumato bench layers" in out[out.index("\nexamples") :]
    for option in ("--out OUT", "--rounds", "--quick", "--only", "--device", "--compiled"):
        assert option in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["bench"], "required: what"),
        (["bench", "hats"], "what: Expected one of 'layers'"),
        (["bench", "layers", "--only", "abacus"], "no case has 'abacus' in its name"),
        (["bench", "layers", "--rounds", "0"], "rounds must be at least 1"),
        (["bench", "layers", "--device", "abacus"], "use cpu or cuda"),
        (["bench", "layers", "--dtype", "fp8"], "--dtype: Expected one of 'fp32', 'bf16'"),
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
    assert not list(here.glob("runs/*/*"))
