"""The bound is the one of Clopper and Pearson, and false no more often than it says."""

from __future__ import annotations

import pytest
from scipy import stats

from sfumato.errors import SettingError
from sfumato.robustness.binomial import sign_test
from sfumato.robustness.smoothing import lower_bound


@pytest.mark.parametrize("alpha", [0.05, 0.001])
@pytest.mark.parametrize("n", [1, 10, 1000, 100_000])
def test_it_is_the_quantile_of_the_beta_distribution(n: int, alpha: float) -> None:
    for successes in sorted({1, n // 2 + 1, round(0.99 * n) or 1, n}):
        expected = stats.beta.ppf(alpha, successes, n - successes + 1)
        found = lower_bound(successes, n, alpha)
        assert found == pytest.approx(expected, rel=1e-9)
    assert lower_bound(0, n, alpha) == 0


@pytest.mark.parametrize("p", [0.02, 0.5, 0.77, 0.94])
def test_it_is_false_no_more_often_than_alpha(p: float) -> None:
    n, alpha = 60, 0.05
    false = sum(
        stats.binom.pmf(k, n, p) for k in range(n + 1) if lower_bound(k, n, alpha) > p
    )  # exact: no draw is made, so that this test raises no false alarm
    assert 0 < false <= alpha


def test_the_sign_test_is_scipys() -> None:
    for first, second in ((0, 0), (1, 0), (5, 5), (8, 2), (2, 8), (90, 10), (600, 400)):
        expected = stats.binomtest(first, first + second).pvalue if first + second else 1.0
        assert sign_test(first, second) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("successes", "n", "alpha"), [(1, 0, 0.1), (3, 2, 0.1), (-1, 2, 0.1), (1, 2, 0.0), (1, 2, 1.0)]
)
def test_what_cannot_be(successes: int, n: int, alpha: float) -> None:
    with pytest.raises(SettingError):
        lower_bound(successes, n, alpha)
