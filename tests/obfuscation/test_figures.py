"""Figures over seeds, and the words that the verdict finds for them."""

from __future__ import annotations

import math
from typing import Any

import pytest

from sfumato.obfuscation.figures import accuracy_at_leak, figure, verdict


def fixed(mean: float, std: float = 0.0) -> dict[str, Any]:
    return {"mean": mean, "std": std, "n": 3}


def point(leak: float, accuracy: float, fraction: float = 0.05, sigma: float = 1.0) -> Any:
    return {
        "fraction": fraction, "sigma": sigma, "leak": fixed(leak), "accuracy": fixed(accuracy),
    }  # fmt: skip


CURVE = [point(0.1, 0.80, sigma=2.0), point(0.3, 0.90, sigma=1.0), point(0.6, 0.96, sigma=0.5)]


def a_round(**changes: Any) -> dict[str, Any]:
    """Learned noise at a leak of 0.2, where isotropic noise has an accuracy of 85 %."""
    figures = {
        "fraction": 0.05,
        "clean_only": fixed(0.70),
        "with_released": fixed(0.88),
        "with_released_unscreened": fixed(0.88, 0.01),
        "leak": fixed(0.2),
        "constant_image": fixed(0.05),
    }
    return {**figures, **changes}


def said(
    *rounds: dict[str, Any], classes: int = 10, curve: Any = None, class_mean: Any = None
) -> list[str]:
    baselines = {"isotropic": CURVE if curve is None else curve, "class_mean": class_mean}
    names = [str(c) for c in range(classes)]
    return verdict(
        {"data": {"classes": names}, "rounds": list(rounds or [a_round()]), "baselines": baselines}
    )


def test_mean_and_deviation() -> None:
    assert figure([1.0, 2.0, 4.0]) == {
        "mean": pytest.approx(7 / 3), "std": pytest.approx(math.sqrt(7 / 3)), "n": 3,
    }  # fmt: skip
    assert figure(iter([0.5])) == {"mean": 0.5, "std": 0.0, "n": 1}


@pytest.mark.parametrize(
    ("leak", "expected"),
    [(0.1, 0.80), (0.2, 0.85), (0.3, 0.90), (0.45, 0.93), (0.6, 0.96), (0.05, None), (0.7, None)],
)
def test_between_two_settings(leak: float, expected: float | None) -> None:
    for curve in (CURVE, CURVE[::-1]):
        found = accuracy_at_leak(curve, leak)
        assert found == (None if expected is None else pytest.approx(expected))


def test_settings_of_equal_leak() -> None:
    assert accuracy_at_leak([point(0.2, 0.8), point(0.2, 0.9)], 0.2) == pytest.approx(0.8)
    assert accuracy_at_leak([], 0.2) is None


def test_learned_noise_wins() -> None:
    lines = said()
    assert lines[0] == (
        "At 5 % clean, learned noise wins: at the same leak of 0.20 it is 3.0 points more accurate "
        "(88.0 % against 85.0 %, both without screening)."
    )
    assert lines[1] == (
        "At 5 % clean, released records raise the accuracy on clean test records by 18.0 points "
        "to 88.0 %, at a leak of 0.20."
    )
    assert len(lines) == 2


def test_isotropic_noise_wins() -> None:
    lines = said(a_round(with_released_unscreened=fixed(0.81, 0.01)))
    assert lines[0] == (
        "At 5 % clean, isotropic noise wins: at the same leak of 0.20 it is 4.0 points more "
        "accurate (85.0 % against 81.0 %, both without screening)."
    )


@pytest.mark.parametrize("accuracy", [0.843, 0.857])
def test_level(accuracy: float) -> None:
    lines = said(a_round(with_released_unscreened=fixed(accuracy, 0.01)))
    gain = 100 * (accuracy - 0.85)
    expected = f"noise are level at a leak of 0.20 ({gain:.1f} points ± 1.0 points)."
    assert expected in lines[0]


def test_screening_does_not_count_against_isotropic_noise() -> None:
    # The baseline is not screened; neither may ours be.
    lines = said(a_round(with_released=fixed(0.99), with_released_unscreened=fixed(0.81)))
    assert "isotropic noise wins" in lines[0]


def test_outside_and_worse_in_both_respects() -> None:
    lines = said(a_round(leak=fixed(0.9), with_released_unscreened=fixed(0.92, 0.01)))
    assert lines[0] == (
        "At 5 % clean, isotropic noise wins: beside isotropic noise of σ = 0.5 it leaks 0.60 "
        "instead of 0.90 and is 4.0 points more accurate, both without screening."
    )


def test_outside_and_better_in_both_respects() -> None:
    lines = said(a_round(leak=fixed(0.05), with_released_unscreened=fixed(0.93, 0.01)))
    assert lines[0] == (
        "At 5 % clean, learned noise wins: beside isotropic noise of σ = 1 it leaks 0.05 "
        "instead of 0.30 and is 3.0 points more accurate, both without screening."
    )


@pytest.mark.parametrize(
    "entry",
    [
        a_round(leak=fixed(0.9), with_released_unscreened=fixed(0.98, 0.01)),
        a_round(leak=fixed(0.05), with_released_unscreened=fixed(0.75, 0.01)),
        a_round(leak=fixed(0.05), with_released_unscreened=fixed(0.804, 0.01)),
    ],
    ids=["leaks more, knows more", "leaks less, knows less", "leaks less, level"],
)
def test_outside(entry: dict[str, Any]) -> None:
    (line,) = [line for line in said(entry) if "outside" in line]
    assert f"the leak of {entry['leak']['mean']:.2f} lies outside of the isotropic noise" in line
    assert not any("wins" in other for other in said(entry))


def test_no_isotropic_noise_was_run() -> None:
    assert not any("isotropic" in line for line in said(curve=[]))
    assert not any("isotropic" in line for line in said(curve=[point(0.2, 0.9, fraction=0.1)]))


def test_releases_that_did_not_help() -> None:
    lines = said(a_round(clean_only=fixed(0.9)))
    assert lines[0] == (
        "At 5 % clean, released records did not help: 90.0 % with the clean part alone, "
        "88.0 % with them."
    )


def test_class_mean_is_as_good() -> None:
    mean = point(0.0, 0.88)
    lines = said(class_mean=mean)
    assert lines[0] == (
        "At 5 % clean, class mean + noise trains as well (88.0 %): the released records carried "
        "nothing that their labels do not."
    )
    assert not any("class mean" in line for line in said(class_mean=point(0.0, 0.87)))
    assert not any("class mean" in line for line in said(class_mean=point(0.0, 0.9, 0.1)))


@pytest.mark.parametrize(
    ("classes", "constant", "warned"),
    [
        (10, 0.19, False),
        (10, 0.21, True),
        (2, 0.5, False),
        (2, 0.74, False),
        (2, 0.8, True),
        (3, 0.7, True),
        (100, 0.03, True),
    ],
)
def test_a_shortcut(classes: int, constant: float, warned: bool) -> None:
    lines = said(a_round(constant_image=fixed(constant)), classes=classes)
    about = [line for line in lines if "shortcut" in line]
    assert bool(about) is warned
    if warned:
        assert "reads the label off the noise in " in about[0]


def test_the_worst_news_come_first() -> None:
    good = a_round(fraction=0.10, constant_image=fixed(0.5))
    bad = a_round(fraction=0.15, with_released_unscreened=fixed(0.81, 0.01))
    curve = [{**entry, "fraction": fraction} for entry in CURVE for fraction in (0.05, 0.10, 0.15)]
    lines = said(a_round(), good, bad, curve=curve)
    assert lines[0].startswith("At 15 % clean, isotropic noise wins")
    assert lines[1].startswith("At 10 % clean, the model reads the label off the noise in 50.0 %")
    assert [line[:8] for line in lines[2:]] == ["At 5 % c"] * 2 + ["At 10 % "] * 2 + ["At 15 % "]
