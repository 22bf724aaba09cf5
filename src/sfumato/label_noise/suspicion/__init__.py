"""Which labels look wrong, and which records the network is least certain of."""

from sfumato.label_noise.suspicion.certainty import Certainty as Certainty
from sfumato.label_noise.suspicion.certainty import certainty as certainty
from sfumato.label_noise.suspicion.detection import Detection as Detection
from sfumato.label_noise.suspicion.out_of_fold import out_of_fold as out_of_fold
from sfumato.label_noise.suspicion.out_of_fold import suspects_out_of_fold as suspects_out_of_fold
from sfumato.label_noise.suspicion.ranked import Suspect as Suspect
from sfumato.label_noise.suspicion.ranked import Suspects as Suspects
from sfumato.label_noise.suspicion.scores import SCORES as SCORES
from sfumato.label_noise.suspicion.scores import suspects as suspects
