"""Which numbers of a network belong to one neuron, and how a neuron is taken out."""

from sfumato.compression.wiring.axes import Group as Group
from sfumato.compression.wiring.costs import Costs as Costs
from sfumato.compression.wiring.wired import Wiring as Wiring
