"""The honest evaluation of a classifier under attack."""

from sfumato.robustness.evaluation.report import AttackRow as AttackRow
from sfumato.robustness.evaluation.report import Level as Level
from sfumato.robustness.evaluation.report import RobustnessReport as RobustnessReport
from sfumato.robustness.evaluation.run import evaluate as evaluate
from sfumato.robustness.evaluation.shares import Share as Share
from sfumato.robustness.evaluation.speed import draws_speed as draws_speed
from sfumato.robustness.evaluation.suite import standard_attacks as standard_attacks
