"""Controls that a useless attack fails, and what else must hold before a card is believed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch.distributions import Chi2

from sfumato.errors import SettingError
from sfumato.privacy import DecoderSettings
from sfumato.privacy.attacks import (
    Attack,
    AttributeAttack,
    LabelAttack,
    LinearAttack,
    LinkageAttack,
    NetworkAttack,
    Outcome,
    ReaderSettings,
    Scene,
    SelectionAttack,
)
from sfumato.privacy.audits.bracket import Information
from sfumato.privacy.audits.checks import bracket_checks, growth_checks
from sfumato.privacy.audits.planted import best_binary_leak
from sfumato.privacy.audits.rows import AttackRow
from sfumato.privacy.card import PrivacyCard
from sfumato.privacy.control import Isotropic
from sfumato.privacy.statistics import Figure
from tests.privacy.audited import run

ONCE: dict[str, Any] = {"releases": (1,), "seeds": (0,)}
QUICK = ReaderSettings(steps=100, draws=2048)


def failed(card: PrivacyCard) -> set[tuple[str, str, int]]:
    return {(c.attack, c.kind, c.releases) for c in card.controls if not c.passed}


def kinds(card: PrivacyCard, attack: str) -> set[str]:
    return {c.kind for c in card.controls if c.attack == attack}


def test_the_best_leak_of_binary_records_is_what_draws_give() -> None:
    """200,000 draws, to 0.005: eight standard errors at least."""
    for size in (1, 6, 16):
        squares = math.e * Chi2(torch.tensor(float(size))).sample((200_000,))
        found = float(torch.tanh((squares * math.sinh(1) - size) / 2).mean())
        assert best_binary_leak(size) == pytest.approx(found, abs=0.005)
    assert best_binary_leak(784) == pytest.approx(1.0)


def test_a_network_that_learns_nothing_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """It starts as the linear decoder, which passes every other control."""
    network = NetworkAttack(DecoderSettings(steps=100, width=6))
    common: dict[str, Any] = {**ONCE, "attacks": [LinearAttack(), network]}
    good = run(**common)
    assert good.trusted and kinds(good, "network") == {"quiet", "loud", "binary"}
    monkeypatch.setattr(NetworkAttack, "run", lambda self, scene: LinearAttack().run(scene))
    bad = run(**common)
    assert failed(bad) == {("network", "binary", 1)} and not bad.trusted


@dataclass(frozen=True)
class Deaf(Attack):
    """Reports chance under the name of another attack."""

    called: str
    headline: str
    chance: float

    @property
    def name(self) -> str:
        return self.called

    def run(self, scene: Scene) -> Outcome:
        return Outcome({self.headline: self.chance}, self.headline, self.chance)


@pytest.mark.parametrize(
    ("attack", "headline", "chance", "kind"),
    [
        (AttributeAttack(settings=QUICK), "accuracy", 0.5, "quiet"),
        (LabelAttack(QUICK), "constant_image", 0.5, "shifted"),
        (SelectionAttack(), "parameters", 0.0, "scaled"),
    ],
    ids=["attribute", "label", "selection"],
)
def test_an_attack_that_finds_nothing_anywhere_is_found_out(
    attack: Attack, headline: str, chance: float, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    common: dict[str, Any] = {**ONCE, "attacks": [LinearAttack(), attack]}
    good = run(**common)
    assert good.trusted and kinds(good, attack.name) == {"loud", kind}
    deaf = Deaf(attack.name, headline, chance)
    monkeypatch.setattr(type(attack), "run", lambda self, scene: deaf.run(scene))
    assert failed(run(**common)) == {(attack.name, kind, 1)}


def test_an_attribute_of_the_user_is_controlled_by_one_that_can_be_read() -> None:
    coin = torch.randint(2, (200,)), torch.randint(2, (100,))
    attack = AttributeAttack(coin, title="coin", settings=QUICK)
    found = run(**ONCE, attacks=[LinearAttack(), attack])
    assert found.trusted and kinds(found, "attribute-coin") == {"loud", "quiet"}


class Single(Attack):
    """Knows what to do with one release alone."""

    @property
    def name(self) -> str:
        return "single"

    def run(self, scene: Scene) -> Outcome:
        return LinearAttack(pooled=True).run(replace(scene, releases=1))


def test_controls_look_at_the_most_releases_too() -> None:
    good = run(attacks=[LinearAttack(pooled=True), LinkageAttack()], releases=(1, 16), seeds=(0,))
    many = {(c.attack, c.kind) for c in good.controls if c.releases == 16}
    assert many == {("the strongest attack", "known"), ("linkage", "quiet")} and good.trusted
    bad = run(attacks=[Single()], releases=(1, 16), seeds=(0,))
    assert failed(bad) == {("the strongest attack", "known", 16)}


class Shy(Attack):
    """Runs on the audited noise and not on that of the controls."""

    @property
    def name(self) -> str:
        return "shy"

    def run(self, scene: Scene) -> Outcome:
        if type(scene.mechanism) is Isotropic and scene.mechanism.sigma != 1.0:
            raise SettingError("this attack needs σ = 1")
        return LinearAttack().run(scene)


def test_a_control_that_was_not_run_is_said_first() -> None:
    found = run(**ONCE, attacks=[LinearAttack(), Shy()])
    assert not found.trusted
    assert found.verdict[0] == (
        "This audit is not to be trusted: the control of shy was not run: this attack needs σ = 1."
    )


def row(releases: int, leak: float) -> AttackRow:
    figure = Figure(leak, 0.01, 3, leak - 0.02, leak + 0.02)
    return AttackRow("linear", releases, False, "leak", 0.0, {"leak": figure}, reconstructs=True)


def test_a_leak_that_falls_with_more_releases_is_found_out() -> None:
    (check,) = growth_checks([row(1, 0.5), row(10, 0.4), row(100, 0.9)])
    assert not check.passed and "10 releases leak 0.400" in check.words
    assert growth_checks([row(1, 0.50), row(10, 0.47)]) == []  # within the intervals
    assert growth_checks([row(1, 0.5), row(10, 0.4), replace(row(10, 0.6), name="map")]) == []


def test_a_card_whose_leak_falls_is_not_trusted() -> None:
    class Forgets(Attack):
        name = "forgets"  # type: ignore[assignment]

        def run(self, scene: Scene) -> Outcome:
            guess = LinearAttack().run(scene).reconstructions
            assert guess is not None
            return Outcome(reconstructions=guess if scene.releases == 1 else guess * 0 + 1.5)

    found = run(attacks=[Forgets()], releases=(1, 4), seeds=(0,))
    assert "4 releases leak" in found.verdict[0] and not found.trusted


def figure(mean: float, half: float) -> Figure:
    return Figure(mean, 0.0, 1, mean - half, mean + half)


def told(lower: Figure, upper: Figure | None) -> Information:
    return Information(lower, 5.0, upper, 100, 16)


def test_the_information_in_words() -> None:
    words = told(figure(0.1, 0.05), figure(0.02, 0.08)).words
    assert words.startswith("One release tells at least 0.05 and at most 0.10 nats")
    assert "lower bound 0.10 [0.05, 0.15], upper bound 0.02 [0.00, 0.10]" in words
    nothing = told(figure(0.1, 0.2), figure(-0.1, 0.05)).words
    assert "is not told apart from 0 nats, at most 0.00 (" in nothing
    assert "not told apart from 0 nats, with no upper bound" in told(figure(0.0, 0.1), None).words


def test_bounds_that_cross_are_found_out() -> None:
    assert bracket_checks(told(figure(0.5, 0.1), figure(0.4, 0.1))) == []
    (check,) = bracket_checks(told(figure(0.9, 0.1), figure(0.2, 0.1)))
    assert not check.passed and "0.900 [0.800, 1.000] nats, exceeds the upper one" in check.words
    assert bracket_checks(told(figure(9.0, 0.1), None)) == bracket_checks(None) == []
