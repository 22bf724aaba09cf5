"""Wrong labels made on purpose, so that what a method is worth can be measured."""

from sfumato.label_noise.noise.base import LabelNoise as LabelNoise
from sfumato.label_noise.noise.instance import InstanceFlips as InstanceFlips
from sfumato.label_noise.noise.noisy import NoisyLabels as NoisyLabels
from sfumato.label_noise.noise.patterned import PatternedFlips as PatternedFlips
from sfumato.label_noise.noise.symmetric import SymmetricFlips as SymmetricFlips
