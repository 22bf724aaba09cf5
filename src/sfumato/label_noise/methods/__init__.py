"""How a network learns from labels of which some are wrong, method by method."""

from sfumato.label_noise.methods.base import Fitted as Fitted
from sfumato.label_noise.methods.base import Method as Method
from sfumato.label_noise.methods.changes import Change as Change
from sfumato.label_noise.methods.changes import Dropout as Dropout
from sfumato.label_noise.methods.changes import Heteroscedastic as Heteroscedastic
from sfumato.label_noise.methods.changes import Plain as Plain
from sfumato.label_noise.methods.changes import SecondLayer as SecondLayer
from sfumato.label_noise.methods.changes import Stochastic as Stochastic
from sfumato.label_noise.methods.corrected import TwoStage as TwoStage
from sfumato.label_noise.methods.job import Job as Job
from sfumato.label_noise.methods.job import described as described
from sfumato.label_noise.methods.one_stage import Entropy as Entropy
from sfumato.label_noise.methods.one_stage import OneStage as OneStage
from sfumato.label_noise.methods.pruned import Pruned as Pruned
from sfumato.label_noise.methods.table import METHODS as METHODS
from sfumato.label_noise.methods.table import method_named as method_named
