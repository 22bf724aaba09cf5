"""The laws of the package hold the contract that is shipped for a user's own law."""

from __future__ import annotations

from torch import Tensor

from sfumato.noise import Binomial, Gaussian, Laplace, Multinomial
from sfumato.testing import LawContract


class TestGaussian(LawContract):
    law = Gaussian(0.1)


class TestLaplace(LawContract):
    law = Laplace(0.1)


class TestBinomial(LawContract):
    law = Binomial(5, temperature=0.7)
    smooth = False


class TestOneTrial(LawContract):
    law = Binomial(1)
    smooth = False


class TestMultinomial(LawContract):
    law = Multinomial(3, temperature=0.7)
    smooth = False


class TestCategories(LawContract):
    law = Multinomial(axis=-3)
    shape = (4, 3, 2, 2)
    smooth = False

    def arrange(self, sample: Tensor) -> Tensor:
        return sample.movedim(-3, -1)
