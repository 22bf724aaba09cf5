"""Pure functions from what layers emitted to a loss."""

from sfumato.objectives.hinge import multiclass_hinge as multiclass_hinge
from sfumato.objectives.information import information as information
from sfumato.objectives.kl import kl as kl
from sfumato.objectives.label_leak import label_leak as label_leak
from sfumato.objectives.max_entropy import max_entropy as max_entropy
