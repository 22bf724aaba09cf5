"""Sfumato: stochastic layers for PyTorch.

A stochastic layer turns its input into the parameters of a probability distribution and passes on
a sample.
"""

from sfumato import data as data
from sfumato import nn as nn
from sfumato import noise as noise
from sfumato import obfuscation as obfuscation
from sfumato import objectives as objectives
from sfumato import placement as placement
from sfumato import privacy as privacy
from sfumato import train as train
from sfumato.errors import SfumatoError as SfumatoError
from sfumato.nn.mode import sampling as sampling
from sfumato.nn.record import record as record
from sfumato.obfuscation.fit import fit as fit
from sfumato.obfuscation.incremental import incremental as incremental
from sfumato.obfuscation.obfuscator import Obfuscator as Obfuscator
