"""Any module's weights drawn once per call: recurrent layers and a transformer layer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from sfumato import nn as layers
from sfumato.bench import ours, peers
from sfumato.bench.case import Candidate, Case, Reach, Setting

LSTM = {"peer": "3.0 blitz, 13.6 bayesian-torch", "prototype": "1.13"}
LSTM_KL = {"peer": "3.1 blitz, 17.6 bayesian-torch", "prototype": "1.30"}


def cases(setting: Setting) -> list[Case]:
    """LSTM, GRU, a 2-layer bidirectional LSTM and a transformer layer, each with and without KL."""
    made: list[Case] = []
    for kl in (False, True):
        made += [*_recurrent(setting, kl), _transformer(setting, kl)]
    return made


def _recurrent(setting: Setting, kl: bool) -> list[Case]:
    size = setting.pick(128, 4), setting.pick(256, 4)
    deep = {"num_layers": 2, "bidirectional": True}
    return [
        _sequence(
            setting,
            "LSTM",
            partial(nn.LSTM, *size, batch_first=True),
            peers.lstm(*size, kl=kl),
            kl,
            None if kl else Reach(1.15),
            LSTM_KL if kl else LSTM,
        ),
        _sequence(
            setting,
            "GRU",
            partial(nn.GRU, *size, batch_first=True),
            peers.gru(*size, kl=kl),
            kl,
            known={"peer": "none measured", "prototype": "1.16" if kl else "1.07"},
        ),
        _sequence(
            setting,
            "LSTM 2 layers bidirectional",
            partial(nn.LSTM, *size, batch_first=True, **deep),
            (),
            kl,
            known={"peer": "none", "prototype": "1.28" if kl else "1.13"},
        ),
    ]


def _sequence(
    setting: Setting,
    name: str,
    make: Callable[[], nn.Module],
    theirs: tuple[Candidate, ...],
    kl: bool,
    reach: Reach | None = None,
    known: dict[str, str] | None = None,
) -> Case:
    batch, steps = setting.pick(32, 2), setting.pick(50, 3)
    inputs, hidden = setting.pick(128, 4), setting.pick(256, 4)
    return Case(
        f"Bayesian {name} {inputs}->{hidden}, {steps} steps, batch {batch}, {_what(kl)}",
        lambda: setting.records(batch, steps, inputs),
        (
            Candidate(f"nn.{name.partition(' ')[0]}", "plain", lambda: ours.plain(make())),
            *theirs,
            *ours.bayesian("bayesian(...)", lambda: layers.bayesian(make()), kl=kl),
        ),
        reach=reach,
        known=known,
    )


def _transformer(setting: Setting, kl: bool) -> Case:
    width, heads, inner = setting.pick(256, 8), setting.pick(4, 2), setting.pick(1024, 16)
    batch, steps = setting.pick(16, 2), setting.pick(64, 3)
    # Without dropout: its own draws are no part of the question.
    make = partial(nn.TransformerEncoderLayer, width, heads, inner, dropout=0.0, batch_first=True)
    return Case(
        f"Bayesian TransformerEncoderLayer {width}, {heads} heads, {inner}, "
        f"{steps} steps, batch {batch}, {_what(kl)}",
        lambda: setting.records(batch, steps, width),
        (
            Candidate("nn.TransformerEncoderLayer", "plain", lambda: ours.plain(make())),
            *ours.bayesian("bayesian(...)", lambda: layers.bayesian(make()), kl=kl),
        ),
        reach=None if kl else Reach(1.2),
        known={"peer": "none", "prototype": "1.40" if kl else "1.17"},
    )


def _what(kl: bool) -> str:
    return "train + KL" if kl else "train"
