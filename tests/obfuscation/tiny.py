"""The smallest run that has every part: a few digits, a linear network, a few steps of each."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import nn

from sfumato.data import digits
from sfumato.data.records import Records
from sfumato.obfuscation import FitSettings, Plan, Screening
from sfumato.privacy import DecoderSettings
from sfumato.train import Recipe

CLASSES = 4
STEPS = Recipe(epochs=2, min_steps=1, batch_size=64, lr=2e-2)
PLAN = Plan(
    fractions=(0.2, 0.4),
    seeds=(0, 1),
    knob=0.1,
    sigmas=(0.5, 2.0),
    learner=STEPS,
    fit=FitSettings(kernels=STEPS, selection=STEPS),
    decoder=DecoderSettings(steps=4, batch_size=16, width=2, check_every=2, patience=1),
    screening=Screening(share=0.25, boxes=1),
    attacked=40,
)


def plan(**changes: Any) -> Plan:
    return replace(PLAN, **changes)


@cache
def records() -> tuple[Records, Records]:
    """120 training and 60 test records of the digits 0 to 3."""
    return few(digits()[0], 120), few(digits()[1], 60)


def few(data: Records, count: int) -> Records:
    index = (data.labels < CLASSES).nonzero().flatten()[:count]
    return Records(data.inputs[index], data.labels[index], data.classes[:CLASSES], "tiny")


def linear(shape: tuple[int, ...], classes: int) -> nn.Module:
    """A model factory as a user writes one."""
    return nn.Sequential(nn.Flatten(), nn.Linear(torch.Size(shape).numel(), classes))


def settled(results: dict[str, Any]) -> dict[str, Any]:
    """Results without what differs from run to run: when and where."""
    kept = copy.deepcopy(results)
    del kept["provenance"]
    return kept
