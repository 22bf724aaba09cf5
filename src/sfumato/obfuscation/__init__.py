"""Obfuscate records: the obfuscator, its training, releases, and training in rounds."""

from sfumato.obfuscation.fit import FitSettings as FitSettings
from sfumato.obfuscation.fit import fit as fit
from sfumato.obfuscation.incremental import incremental as incremental
from sfumato.obfuscation.obfuscator import Obfuscator as Obfuscator
from sfumato.obfuscation.plan import Plan as Plan
from sfumato.obfuscation.release import release_dataset as release_dataset
from sfumato.obfuscation.screening import Screening as Screening
from sfumato.obfuscation.start import class_mean as class_mean
from sfumato.obfuscation.start import conditional as conditional
from sfumato.obfuscation.start import isotropic as isotropic
