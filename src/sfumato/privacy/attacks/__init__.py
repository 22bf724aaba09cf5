"""Attacks by someone who knows everything but the draw, one a file."""

from sfumato.privacy.attacks.attribute import AttributeAttack as AttributeAttack
from sfumato.privacy.attacks.attribute import balance as balance
from sfumato.privacy.attacks.attribute import brightness as brightness
from sfumato.privacy.attacks.base import Attack as Attack
from sfumato.privacy.attacks.base import Outcome as Outcome
from sfumato.privacy.attacks.label import LabelAttack as LabelAttack
from sfumato.privacy.attacks.linear import LinearAttack as LinearAttack
from sfumato.privacy.attacks.linkage import LinkageAttack as LinkageAttack
from sfumato.privacy.attacks.membership import MembershipAttack as MembershipAttack
from sfumato.privacy.attacks.network import NetworkAttack as NetworkAttack
from sfumato.privacy.attacks.posterior import MapAttack as MapAttack
from sfumato.privacy.attacks.reader import ReaderSettings as ReaderSettings
from sfumato.privacy.attacks.scene import Scene as Scene
from sfumato.privacy.attacks.scene import average_of as average_of
from sfumato.privacy.attacks.selection import SelectionAttack as SelectionAttack
from sfumato.privacy.attacks.toy import toy_scene as toy_scene
