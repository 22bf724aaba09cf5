"""Layers that pass on a sample of the distribution whose parameters they emit."""

from sfumato.nn.additive import AdditiveNoise as AdditiveNoise
from sfumato.nn.additive import ConditionalAdditiveNoise as ConditionalAdditiveNoise
from sfumato.nn.base import StochasticModule as StochasticModule
from sfumato.nn.bound import Bound as Bound
from sfumato.nn.conditional import ConditionalConv1d as ConditionalConv1d
from sfumato.nn.conditional import ConditionalConv2d as ConditionalConv2d
from sfumato.nn.conditional import ConditionalConv3d as ConditionalConv3d
from sfumato.nn.conditional import ConditionalLinear as ConditionalLinear
from sfumato.nn.record import Recording as Recording
from sfumato.nn.selection import SoftSelection as SoftSelection
from sfumato.nn.selection import add_background as add_background
from sfumato.nn.stochastic import StochasticConv1d as StochasticConv1d
from sfumato.nn.stochastic import StochasticConv2d as StochasticConv2d
from sfumato.nn.stochastic import StochasticConv3d as StochasticConv3d
from sfumato.nn.stochastic import StochasticLinear as StochasticLinear
