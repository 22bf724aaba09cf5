"""Adversarial robustness: attacks that cannot be fooled, their evaluation, defences."""

from sfumato.robustness import attacks as attacks
from sfumato.robustness import defences as defences
from sfumato.robustness import smoothing as smoothing
from sfumato.robustness.draws import ExpectedModel as ExpectedModel
from sfumato.robustness.evaluation import AttackRow as AttackRow
from sfumato.robustness.evaluation import Level as Level
from sfumato.robustness.evaluation import RobustnessReport as RobustnessReport
from sfumato.robustness.evaluation import Share as Share
from sfumato.robustness.evaluation import draws_speed as draws_speed
from sfumato.robustness.evaluation import evaluate as evaluate
from sfumato.robustness.evaluation import standard_attacks as standard_attacks
from sfumato.robustness.smoothing import Certificates as Certificates
from sfumato.robustness.smoothing import Smoothed as Smoothed
