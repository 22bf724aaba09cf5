"""Functions from what layers emitted to a loss; those with a memory are `Objective`s."""

from sfumato.objectives.adversary import Adversary as Adversary
from sfumato.objectives.adversary import AdversarySettings as AdversarySettings
from sfumato.objectives.base import Emission as Emission
from sfumato.objectives.base import Objective as Objective
from sfumato.objectives.full_information import full_information as full_information
from sfumato.objectives.hinge import multiclass_hinge as multiclass_hinge
from sfumato.objectives.information import information as information
from sfumato.objectives.kl import kl as kl
from sfumato.objectives.label_leak import label_leak as label_leak
from sfumato.objectives.max_entropy import max_entropy as max_entropy
from sfumato.objectives.on_records import OnRecords as OnRecords
from sfumato.objectives.wiener import wiener_leak as wiener_leak
