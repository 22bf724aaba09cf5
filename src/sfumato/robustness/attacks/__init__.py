"""The attacks: `attack(model, x, labels)` gives adversarial examples inside the ball."""

from sfumato.robustness.attacks.apgd import APGD as APGD
from sfumato.robustness.attacks.ball import Norm as Norm
from sfumato.robustness.attacks.base import Attack as Attack
from sfumato.robustness.attacks.carlini_wagner import CarliniWagner as CarliniWagner
from sfumato.robustness.attacks.fgsm import FGSM as FGSM
from sfumato.robustness.attacks.gradient import GradientError as GradientError
from sfumato.robustness.attacks.losses import Loss as Loss
from sfumato.robustness.attacks.margin_pgd import MarginPGD as MarginPGD
from sfumato.robustness.attacks.pgd import PGD as PGD
from sfumato.robustness.attacks.square import Square as Square
from sfumato.robustness.attacks.transfer import Transfer as Transfer
