"""Defences: a model and the loss to train it with, one per file."""

from sfumato.robustness.defences.adversarial import Adversarial as Adversarial
from sfumato.robustness.defences.agreement import ConsistencyLoss as ConsistencyLoss
from sfumato.robustness.defences.base import Defence as Defence
from sfumato.robustness.defences.bottleneck import BottleneckLoss as BottleneckLoss
from sfumato.robustness.defences.bottleneck import vib as vib
from sfumato.robustness.defences.entropy import se_snn as se_snn
from sfumato.robustness.defences.named import Name as Name
from sfumato.robustness.defences.named import defence as defence
from sfumato.robustness.defences.trades import Trades as Trades
from sfumato.robustness.defences.undefended import plain as plain
from sfumato.robustness.defences.weights import WeightDivergenceLoss as WeightDivergenceLoss
from sfumato.robustness.defences.weights import adv_bnn as adv_bnn
