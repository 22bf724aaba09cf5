"""Where a stochastic layer goes in a network: the three embodiments, and changed layers."""

from sfumato.placement.before import before as before
from sfumato.placement.check import check as check
from sfumato.placement.convert import convert as convert
from sfumato.placement.finding import Finding as Finding
from sfumato.placement.merge import add as add
from sfumato.placement.merge import concatenate as concatenate
from sfumato.placement.merge import merge_then_noise as merge_then_noise
from sfumato.placement.merge import noise_then_merge as noise_then_merge
