"""Re-identification with wrong identity labels (spec 4 §4.3, table 4)."""

from sfumato.label_noise.reidentification.cameras import VirtualCamera as VirtualCamera
from sfumato.label_noise.reidentification.cameras import virtual_cameras as virtual_cameras
from sfumato.label_noise.reidentification.cameras import virtual_identities as virtual_identities
from sfumato.label_noise.reidentification.features import embed as embed
from sfumato.label_noise.reidentification.features import reidentify as reidentify
from sfumato.label_noise.reidentification.folders import load_identities as load_identities
from sfumato.label_noise.reidentification.folders import (
    open_reidentification as open_reidentification,
)
from sfumato.label_noise.reidentification.identities import Identities as Identities
from sfumato.label_noise.reidentification.network import (
    ReidentificationNetwork as ReidentificationNetwork,
)
from sfumato.label_noise.reidentification.network import extend as extend
from sfumato.label_noise.reidentification.network import last_unit as last_unit
from sfumato.label_noise.reidentification.retrieval import Retrieval as Retrieval
from sfumato.label_noise.reidentification.retrieval import retrieval as retrieval
from sfumato.label_noise.reidentification.similar import SimilarIdentities as SimilarIdentities
from sfumato.label_noise.reidentification.split import (
    ReidentificationSplit as ReidentificationSplit,
)
from sfumato.label_noise.reidentification.split import split_unseen as split_unseen
from sfumato.label_noise.reidentification.training import (
    REIDENTIFICATION_METHODS as REIDENTIFICATION_METHODS,
)
from sfumato.label_noise.reidentification.training import (
    ReidentificationMethod as ReidentificationMethod,
)
from sfumato.label_noise.reidentification.training import (
    ReidentificationPlan as ReidentificationPlan,
)
from sfumato.label_noise.reidentification.training import (
    train_reidentification as train_reidentification,
)
