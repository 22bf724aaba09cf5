"""A predictor of the user's own on the command line, from training to the next round."""

from __future__ import annotations

from pathlib import Path

import pytest

from sfumato.cli import main
from sfumato.cli.pixels.kept import entries, load_kept
from sfumato.errors import SettingError
from tests.cli.pixels.folders import streets

OWN = """
import torch
from torch import nn


class Tiny(nn.Module):
    def __init__(self, channels, task):
        super().__init__()
        self.net = nn.Conv2d(channels + task.channels + 1, task.outputs, 3, padding=1)

    def forward(self, image, values, mask):
        return self.net(torch.cat([image, values, mask], 1))


def number(channels, task):
    return 3


def deaf(channels, task):
    return nn.Conv2d(channels, task.outputs, 1)


def picky(channels):
    return None


nothing = 3
"""
FEW = ["--steps", "2", "--batch_size", "2", "--limit", "8", "--seeds", "1", "--beside", "grid"]


@pytest.fixture
def own(here: Path) -> None:
    (here / "own_predictors.py").write_text(OWN)


@pytest.mark.usefixtures("own")
def test_from_training_to_questions(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, name = streets(here / "streets"), "own_predictors:Tiny"
    words = ["--data", data, "--selector", "uncertainty", "--predictor", name, "--share", "0.1"]
    assert main(["pixels", "train", *FEW, *words, "--out", "run"]) == 0
    folder = here / "run" / entries(here / "run")[0]["folder"]
    with pytest.raises(SettingError, match=f"--predictor {name}"):
        load_kept(folder)
    assert type(load_kept(folder, name).predictor).__name__ == "Tiny"
    again = ["pixels", "evaluate", "--run", "run", "--data", data, "--limit", "4"]
    assert main([*again, "--out", "scores"]) == 2
    assert "a predictor of your own" in capsys.readouterr().err
    assert main([*again, "--predictor", name, "--out", "scores"]) == 0


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("vit", "--predictor vit is unknown; there are unet, kernel, kernel-unet"),
        ("own_predictors:nothing", "must be callable"),
        ("own_predictors:none", "has no none"),
        ("own_predictors:number", "must make an nn.Module, not int"),
        ("own_predictors:picky", "cannot be called with 1 channels and the task"),
        ("own_predictors:deaf", "cannot be called as predictor(image"),
    ],
)
def test_what_does_not_fit_is_told_before_the_work(
    name: str, said: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pixels", "train", *FEW, "--predictor", name, "--out", "run"]) == 2
    assert said in capsys.readouterr().err
    assert not (here / "run" / "cells").exists()
