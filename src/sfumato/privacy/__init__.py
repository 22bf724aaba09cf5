"""Attackers who know everything but the draw, and what they recover."""

from sfumato.privacy.attacks.decoder import DecoderSettings as DecoderSettings
from sfumato.privacy.attacks.decoder import NetworkDecoder as NetworkDecoder
from sfumato.privacy.attacks.wiener import LinearDecoder as LinearDecoder
from sfumato.privacy.certificate import Certificate as Certificate
from sfumato.privacy.certificate import FisherBound as FisherBound
from sfumato.privacy.certificate import certify as certify
from sfumato.privacy.certificate import fisher_bound as fisher_bound
from sfumato.privacy.certificate import gaussian_epsilon as gaussian_epsilon
from sfumato.privacy.certificate import gaussian_sigma as gaussian_sigma
from sfumato.privacy.certificate import laplace_epsilon as laplace_epsilon
from sfumato.privacy.certificate import laplace_renyi as laplace_renyi
from sfumato.privacy.certificate import renyi_epsilon as renyi_epsilon
from sfumato.privacy.certificate import renyi_gaussian as renyi_gaussian
from sfumato.privacy.information import Bound as Bound
from sfumato.privacy.information import Bracket as Bracket
from sfumato.privacy.information import CriticSettings as CriticSettings
from sfumato.privacy.information import mutual_information as mutual_information
from sfumato.privacy.knowledge import Knowledge as Knowledge
from sfumato.privacy.knowledge import Mechanism as Mechanism
from sfumato.privacy.knowledge import Served as Served
from sfumato.privacy.leak import Leak as Leak
from sfumato.privacy.leak import measure_leak as measure_leak
from sfumato.privacy.measures import Estimate as Estimate
from sfumato.privacy.measures import Measured as Measured
from sfumato.privacy.measures import best_per_record as best_per_record
from sfumato.privacy.measures import measure as measure
