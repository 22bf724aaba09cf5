"""How much a network would miss a neuron: one measure per file."""

from sfumato.compression.importance.base import Importance as Importance
from sfumato.compression.importance.base import Normalise as Normalise
from sfumato.compression.importance.entropy import Entropy as Entropy
from sfumato.compression.importance.magnitude import Magnitude as Magnitude
from sfumato.compression.importance.peer import TorchPruning as TorchPruning
from sfumato.compression.importance.ranking import ranked as ranked
from sfumato.compression.importance.scene import Scene as Scene
from sfumato.compression.importance.taylor import Taylor as Taylor
from sfumato.compression.importance.toy import toy_scene as toy_scene
