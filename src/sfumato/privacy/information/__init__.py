"""How many nats a release tells of its record: a bracket, never one number."""

from sfumato.privacy.information.bracket import Bound as Bound
from sfumato.privacy.information.bracket import Bracket as Bracket
from sfumato.privacy.information.bracket import mutual_information as mutual_information
from sfumato.privacy.information.critic import CriticSettings as CriticSettings
