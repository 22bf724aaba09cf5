"""Attackers who know everything but the draw, and what they recover."""

from sfumato.privacy.knowledge import Knowledge as Knowledge
from sfumato.privacy.knowledge import Mechanism as Mechanism
from sfumato.privacy.leak import Leak as Leak
from sfumato.privacy.leak import measure_leak as measure_leak
from sfumato.privacy.linear import LinearDecoder as LinearDecoder
from sfumato.privacy.network import DecoderSettings as DecoderSettings
from sfumato.privacy.network import NetworkDecoder as NetworkDecoder
