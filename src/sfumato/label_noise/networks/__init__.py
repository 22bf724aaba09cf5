"""Changed copies of a network: stochastic layers, their rivals and their controls."""

from sfumato.label_noise.networks.dropped import with_dropout as with_dropout
from sfumato.label_noise.networks.head import HeteroscedasticHead as HeteroscedasticHead
from sfumato.label_noise.networks.headed import (
    with_heteroscedastic_head as with_heteroscedastic_head,
)
from sfumato.label_noise.networks.hidden import hidden_layers as hidden_layers
from sfumato.label_noise.networks.parallel import Parallel as Parallel
from sfumato.label_noise.networks.parallel import with_parallel as with_parallel
from sfumato.label_noise.networks.stochastic import with_noise as with_noise
