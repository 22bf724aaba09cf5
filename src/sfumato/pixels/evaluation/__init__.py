"""Figures of selectors and predictors on pixels that were not bought."""

from sfumato.pixels.evaluation.contender import Contender as Contender
from sfumato.pixels.evaluation.contender import contest as contest
from sfumato.pixels.evaluation.curve import Curve as Curve
from sfumato.pixels.evaluation.curve import budget_curve as budget_curve
from sfumato.pixels.evaluation.evaluate import Evaluation as Evaluation
from sfumato.pixels.evaluation.evaluate import evaluate as evaluate
from sfumato.pixels.evaluation.evaluate import predict as predict
from sfumato.pixels.evaluation.headroom import evaluate_oracle as evaluate_oracle
from sfumato.pixels.evaluation.leaks import label_leaks as label_leaks
