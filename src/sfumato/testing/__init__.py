"""Contract tests: what holds for every part of sfumato, for a part of your own to inherit."""

from sfumato.testing.attack import AttackContract as AttackContract
from sfumato.testing.importance import ImportanceContract as ImportanceContract
from sfumato.testing.law import LawContract as LawContract
from sfumato.testing.layer import LayerContract as LayerContract
from sfumato.testing.objective import ObjectiveContract as ObjectiveContract
from sfumato.testing.robustness_attack import (
    RobustnessAttackContract as RobustnessAttackContract,
)
from sfumato.testing.selector import SelectorContract as SelectorContract
