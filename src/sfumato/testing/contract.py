"""What all contracts are: tests that pytest collects in an heir, or that run without pytest."""

from __future__ import annotations

from abc import ABC
from typing import ClassVar

import torch
from torch import Tensor

from sfumato.testing.checks import expect
from sfumato.testing.compare import kolmogorov_smirnov, kolmogorov_smirnov_limit


class Contract(ABC):
    """Abstract: tests for a part of the user's own. A class that inherits them names the part.

    pytest collects such a class if its name starts with `Test`; without pytest, `check` runs every
    test. Seeds are fixed; over seeds, a right part fails one of the statistical tests with a
    probability of `false_alarm`.
    """

    draws: ClassVar[int]
    """How many samples the statistical tests take: an even number, at least 1,000."""
    false_alarm: ClassVar[float] = 1e-6

    _before: Tensor

    @classmethod
    def check(cls) -> None:
        """Run every test, without pytest.

        Raises:
            AssertionError: a test fails; the message says what the part does.
        """
        for name in sorted(name for name in dir(cls) if name.startswith("test_")):
            contract = cls()
            contract.setup_method()
            try:
                getattr(contract, name)()
            finally:
                contract.teardown_method()

    def arrange(self, sample: Tensor) -> Tensor:
        """`sample` with its axes as those of `distribution().sample()`; the same by default.

        Override it for a law whose `distribution` moves an axis.
        """
        return sample

    def setup_method(self) -> None:
        """Fix the seed; pytest calls it before each test."""
        self._before = torch.get_rng_state()
        torch.manual_seed(0)

    def teardown_method(self) -> None:
        """Put the generator back; pytest calls it after each test."""
        torch.set_rng_state(self._before)

    def _follows(self, sample: Tensor, known: Tensor) -> None:
        """Kolmogorov-Smirnov for each of the elements of two samples `[draws, E]`."""
        apart = kolmogorov_smirnov(sample, known)
        limit = kolmogorov_smirnov_limit(self.draws, len(apart), self.false_alarm)
        expect(
            bool((apart < limit).all()),
            f"samples and distribution() are {apart.max():.3g} apart by Kolmogorov-Smirnov; what "
            f"is right reaches {limit:.3g} with a probability of {self.false_alarm:g}",
        )
