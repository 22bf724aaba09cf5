"""Gates that learn which channels to close: the variational information bottleneck, a rival."""

from sfumato.compression.gates.gate import VIBGate as VIBGate
from sfumato.compression.gates.loss import VIBLoss as VIBLoss
from sfumato.compression.gates.network import GatedNetwork as GatedNetwork
from sfumato.compression.gates.network import gated as gated
from sfumato.compression.gates.removal import remove_gated as remove_gated
