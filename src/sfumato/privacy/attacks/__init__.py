"""Attacks by someone who knows everything but the draw, one a file."""

from sfumato.privacy.attacks.base import Attack as Attack
from sfumato.privacy.attacks.base import Outcome as Outcome
from sfumato.privacy.attacks.scene import Scene as Scene
