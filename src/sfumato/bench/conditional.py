"""Conditional layers under hard and soft selection, C = 10 (spec 2 and 3)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from sfumato import nn as layers
from sfumato.bench import ours
from sfumato.bench.case import Candidate, Case, Model, Reach, Setting, simple
from sfumato.bench.floors import NaiveHard, NaiveSoft

C = 10
# channels, side, batch; and the best prototype's ratio
SHAPES = {
    (64, 32, 32): "1.17",
    (16, 32, 128): "1.04",
    (128, 16, 32): "1.21",
    (256, 8, 32): "1.44",
    (3, 32, 128): "1.16",
}


def hard(setting: Setting) -> list[Case]:
    """Conv2d at every shape, then Linear: plain layers per class, and stochastic ones."""
    shapes = {(4, 4, 12): "", (3, 4, 12): ""} if setting.quick else SHAPES
    made = [case for shape, known in shapes.items() for case in _convs(setting, *shape, known)]
    return [*made, *_linears(setting)]


def soft(setting: Setting) -> list[Case]:
    """Conv2d with π one number per class, per channel, per pixel, per element."""
    n, side = setting.pick(64, 4), setting.pick(32, 4)
    # Three tensors of the sample's size: one for each class would be 80 MiB.
    every_class = Reach(10.0, saved_mib=24.0)
    return [
        _soft(setting, (), "class", Reach(1.1), "1.06"),
        _soft(setting, (n,), "channel", Reach(1.1), "1.06"),
        _soft(setting, (1, side, side), "pixel", every_class, "11.5"),
        _soft(setting, (n, side, side), "pixel and channel", every_class, "11.5; 82 MiB"),
    ]


def _convs(setting: Setting, n: int, side: int, batch: int, known: str) -> list[Case]:
    size = f"Conv2d {n}->{n} 3x3, {side}x{side}, batch {batch}, C = {C}, train"
    records, labels = _given(setting, batch, n, side, side)
    plain = partial(nn.Conv2d, n, n, 3, padding=1)
    twin = partial(layers.StochasticConv2d, n, n, 3, padding=1)
    figures = {"peer": "none (naive 12)", "prototype": known}
    return [
        Case(
            f"conditional {size}",
            records,
            (
                simple("nn.Conv2d", "plain", plain),
                _loop(plain, None, labels),
                _ours(lambda: layers.Conditional(C, plain), "Conditional(...)", labels),
            ),
            reach=Reach(1.2),
            known=figures,
        ),
        Case(
            f"conditional stochastic {size}",
            records,
            (
                simple("StochasticConv2d", "plain", twin),
                _loop(partial(nn.Conv2d, n, 2 * n, 3, padding=1), 1, labels),
                _ours(
                    lambda: layers.ConditionalConv2d(C, n, n, 3, padding=1),
                    "ConditionalConv2d",
                    labels,
                ),
            ),
            reach=Reach(1.2),
            known=figures,
        ),
    ]


def _linears(setting: Setting) -> list[Case]:
    n, batch = setting.pick(1024, 16), setting.pick(128, 12)
    size = f"Linear {n}->{n}, batch {batch}, C = {C}, train"
    records, labels = _given(setting, batch, n)
    plain = partial(nn.Linear, n, n)
    known = {"peer": "none (naive 36)", "prototype": "3.4"}
    return [
        Case(
            f"conditional {size}",
            records,
            (
                simple("nn.Linear", "plain", plain),
                _loop(plain, None, labels),
                _ours(lambda: layers.Conditional(C, plain), "Conditional(...)", labels),
            ),
            reach=Reach(3.4),
            known=known,
        ),
        Case(
            f"conditional stochastic {size}",
            records,
            (
                simple("StochasticLinear", "plain", partial(layers.StochasticLinear, n, n)),
                _loop(partial(nn.Linear, n, 2 * n), -1, labels),
                _ours(lambda: layers.ConditionalLinear(C, n, n), "ConditionalLinear", labels),
            ),
            reach=Reach(3.4),
            known=known,
        ),
    ]


def _soft(setting: Setting, shape: tuple[int, ...], per: str, reach: Reach, known: str) -> Case:
    n, side, batch = setting.pick(64, 4), setting.pick(32, 4), setting.pick(32, 2)
    twin = partial(nn.Conv2d, n, 2 * n, 3, padding=1)

    def model() -> Model:
        layer = layers.ConditionalConv2d(C, n, n, 3, padding=1)
        both = nn.ModuleList(
            [layer, layers.SoftSelection(C, shape)]
        )  # π is trained with the kernels
        return Model(both, lambda x: layer(x, both[1]))

    return Case(
        f"soft Conv2d {n}->{n} 3x3, {side}x{side}, batch {batch}, C = {C}, π per {per}, train",
        lambda: setting.records(batch, n, side, side),
        (
            simple(
                "StochasticConv2d",
                "plain",
                partial(layers.StochasticConv2d, n, n, 3, padding=1),
            ),
            simple("a loop over the classes", "naive", lambda: NaiveSoft(C, twin, shape)),
            Candidate("ConditionalConv2d, SoftSelection", "ours", model),
        ),
        reach=reach,
        known={"peer": "none (naive 12)", "prototype": known},
    )


def _given(setting: Setting, *shape: int) -> tuple[Callable[[], Tensor], Tensor]:
    """The records, and a label for each: in random order, and every class about as often."""
    generator = torch.Generator().manual_seed(0)
    labels = (torch.randperm(shape[0], generator=generator) % C).to(setting.device)
    return partial(setting.records, *shape), labels


def _loop(make: Callable[[], nn.Module], axis: int | None, labels: Tensor) -> Candidate:
    return Candidate(
        "a loop over the classes", "naive", lambda: ours.plain(NaiveHard(C, make, axis), labels)
    )


def _ours(make: Callable[[], nn.Module], name: str, labels: Tensor) -> Candidate:
    return Candidate(name, "ours", lambda: ours.plain(make(), labels))
