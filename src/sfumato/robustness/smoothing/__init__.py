"""Randomised smoothing: predictions that abstain, and certified radii."""

from sfumato.robustness.binomial import lower_bound as lower_bound
from sfumato.robustness.smoothing.certificates import ABSTAIN as ABSTAIN
from sfumato.robustness.smoothing.certificates import Certificates as Certificates
from sfumato.robustness.smoothing.front import GaussianFront as GaussianFront
from sfumato.robustness.smoothing.smoothed import Smoothed as Smoothed
