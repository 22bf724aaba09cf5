"""Obfuscate records: the obfuscator, its training, releases, and training in rounds."""

from sfumato.obfuscation.calibration import calibrate as calibrate
from sfumato.obfuscation.clipped import bottleneck as bottleneck
from sfumato.obfuscation.cloak import CloakSettings as CloakSettings
from sfumato.obfuscation.cloak import cloak as cloak
from sfumato.obfuscation.denoiser import Denoiser as Denoiser
from sfumato.obfuscation.fit import fit as fit
from sfumato.obfuscation.fit_settings import FitSettings as FitSettings
from sfumato.obfuscation.incremental import incremental as incremental
from sfumato.obfuscation.learner import ScaleInput as ScaleInput
from sfumato.obfuscation.learner import averaged_prediction as averaged_prediction
from sfumato.obfuscation.learner import consistency as consistency
from sfumato.obfuscation.learner import with_scale as with_scale
from sfumato.obfuscation.obfuscator import Obfuscator as Obfuscator
from sfumato.obfuscation.plan import Plan as Plan
from sfumato.obfuscation.release import release_dataset as release_dataset
from sfumato.obfuscation.screening import Screening as Screening
from sfumato.obfuscation.secure import exportable as exportable
from sfumato.obfuscation.shredder import Shredder as Shredder
from sfumato.obfuscation.shredder import ShredderSettings as ShredderSettings
from sfumato.obfuscation.shredder import shredder as shredder
from sfumato.obfuscation.start import class_mean as class_mean
from sfumato.obfuscation.start import conditional as conditional
from sfumato.obfuscation.start import isotropic as isotropic
from sfumato.obfuscation.start import start as start
from sfumato.obfuscation.worth import margins as margins
from sfumato.obfuscation.worth import worth_releasing as worth_releasing
