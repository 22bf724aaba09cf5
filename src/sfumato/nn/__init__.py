"""Layers that pass on a sample of the distribution whose parameters they emit."""

from sfumato.nn.additive import AdditiveNoise as AdditiveNoise
from sfumato.nn.additive import ConditionalAdditiveNoise as ConditionalAdditiveNoise
from sfumato.nn.base import StochasticModule as StochasticModule
from sfumato.nn.bound import Bound as Bound
from sfumato.nn.clip import ClipNorm as ClipNorm
from sfumato.nn.conditional.any_module import Conditional as Conditional
from sfumato.nn.conditional.kernels import ConditionalConv1d as ConditionalConv1d
from sfumato.nn.conditional.kernels import ConditionalConv2d as ConditionalConv2d
from sfumato.nn.conditional.kernels import ConditionalConv3d as ConditionalConv3d
from sfumato.nn.conditional.kernels import ConditionalLinear as ConditionalLinear
from sfumato.nn.conditional.selection import SoftSelection as SoftSelection
from sfumato.nn.conditional.selection import add_background as add_background
from sfumato.nn.record import Recording as Recording
from sfumato.nn.sequences.attention import (
    StochasticTransformerEncoderLayer as StochasticTransformerEncoderLayer,
)
from sfumato.nn.sequences.recurrent import StochasticGRU as StochasticGRU
from sfumato.nn.sequences.recurrent import StochasticLSTM as StochasticLSTM
from sfumato.nn.stochastic import StochasticConv1d as StochasticConv1d
from sfumato.nn.stochastic import StochasticConv2d as StochasticConv2d
from sfumato.nn.stochastic import StochasticConv3d as StochasticConv3d
from sfumato.nn.stochastic import StochasticLinear as StochasticLinear
from sfumato.nn.svm.fourier import RandomFourierFeatures as RandomFourierFeatures
from sfumato.nn.svm.svm import BayesianSVM as BayesianSVM
from sfumato.nn.svm.svm import StochasticSVM as StochasticSVM
from sfumato.nn.weights.any_module import Bayesian as Bayesian
from sfumato.nn.weights.any_module import bayesian as bayesian
from sfumato.nn.weights.base import BayesianModule as BayesianModule
from sfumato.nn.weights.conv import BayesianConv1d as BayesianConv1d
from sfumato.nn.weights.conv import BayesianConv2d as BayesianConv2d
from sfumato.nn.weights.conv import BayesianConv3d as BayesianConv3d
from sfumato.nn.weights.linear import BayesianLinear as BayesianLinear
from sfumato.nn.weights.prior import GaussianPrior as GaussianPrior
from sfumato.nn.weights.prior import Prior as Prior
from sfumato.nn.weights.prior import ScaleMixture as ScaleMixture
from sfumato.nn.wrapped import Stochastic as Stochastic
