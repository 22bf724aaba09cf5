"""Sfumato: stochastic layers for PyTorch.

A stochastic layer turns its input into the parameters of a probability distribution and passes on
a sample.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sfumato import compression as compression
    from sfumato import data as data
    from sfumato import label_noise as label_noise
    from sfumato import nn as nn
    from sfumato import noise as noise
    from sfumato import obfuscation as obfuscation
    from sfumato import objectives as objectives
    from sfumato import pixels as pixels
    from sfumato import placement as placement
    from sfumato import privacy as privacy
    from sfumato import robustness as robustness
    from sfumato import testing as testing
    from sfumato import train as train
    from sfumato.errors import SfumatoError as SfumatoError
    from sfumato.nn.mode import sampling as sampling
    from sfumato.nn.record import record as record
    from sfumato.obfuscation.fit import fit as fit
    from sfumato.obfuscation.incremental import incremental as incremental
    from sfumato.obfuscation.obfuscator import Obfuscator as Obfuscator
    from sfumato.placement.check import check as check
    from sfumato.placement.convert import convert as convert
    from sfumato.privacy.audit import audit as audit
    from sfumato.privacy.card import PrivacyCard as PrivacyCard

_WHERE = {
    "SfumatoError": "sfumato.errors",
    "sampling": "sfumato.nn.mode",
    "record": "sfumato.nn.record",
    "fit": "sfumato.obfuscation.fit",
    "incremental": "sfumato.obfuscation.incremental",
    "Obfuscator": "sfumato.obfuscation.obfuscator",
    "check": "sfumato.placement.check",
    "convert": "sfumato.placement.convert",
    "audit": "sfumato.privacy.audit",
    "PrivacyCard": "sfumato.privacy.card",
}

__all__ = [
    "Obfuscator",
    "PrivacyCard",
    "SfumatoError",
    "audit",
    "check",
    "compression",
    "convert",
    "data",
    "fit",
    "incremental",
    "label_noise",
    "nn",
    "noise",
    "obfuscation",
    "objectives",
    "pixels",
    "placement",
    "privacy",
    "record",
    "robustness",
    "sampling",
    "testing",
    "train",
]


def __getattr__(name: str) -> Any:
    # torch is loaded by the first use of a name, so that `sfumato --help` is quick
    if name in _WHERE:
        value = getattr(import_module(_WHERE[name]), name)
    elif name in __all__:
        value = import_module(f"sfumato.{name}")
    else:
        raise AttributeError(f"module 'sfumato' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
