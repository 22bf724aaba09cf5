from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sfumato.errors import OutputError, SettingError, StoreError
from sfumato.files import json_checksum, read_json, write_json
from sfumato.privacy.audits.rows import AttackRow, Certified
from sfumato.privacy.audits.store import CARD, PICTURES
from sfumato.privacy.card import PrivacyCard
from sfumato.privacy.statistics import Figure
from tests.privacy.audited import card as audited


def figure(mean: float, half: float = 0.02) -> Figure:
    return Figure(mean, half / 2, 3, mean - half, mean + half)


def linkage(top1: float, releases: int = 1) -> AttackRow:
    return AttackRow("linkage", releases, False, "top1", 0.01, {"top1": figure(top1)})


def trusted(**changes: Any) -> PrivacyCard:
    """The audited card as if it had passed, with a linkage attack."""
    card = audited()
    attacks = tuple(row for row in card.attacks if row.name == "linear-pooled")
    certificate = (Certified(1, True, 4.4, 1e-5, "Certified."),)
    settings: dict[str, Any] = {
        "attacks": (*attacks, linkage(0.2)),
        "trusted": True,
        "controls": tuple(c for c in card.controls if c.passed),
        "certificate": certificate,
        **changes,
    }
    return replace(card, **settings)


def test_saved_and_loaded_it_is_the_same(tmp_path: Path) -> None:
    card = audited()
    assert card.save(tmp_path / "new") == tmp_path / "new" / CARD
    for place in (tmp_path / "new", tmp_path / "new" / CARD):
        loaded = PrivacyCard.load(place)
        assert str(loaded) == str(card)
        assert replace(loaded, worst=card.worst) == card
        assert loaded.worst.numbers == card.worst.numbers
        assert loaded.worst.records is not None and card.worst.records is not None
        assert torch.equal(loaded.worst.records, card.worst.records)


def test_the_json_holds_no_record(tmp_path: Path) -> None:
    """It goes where the obfuscator goes; pictures are apart, and only where they are wanted."""
    audited().save(tmp_path, pictures=False)
    assert [path.name for path in tmp_path.iterdir()] == [CARD]
    content = read_json(tmp_path / CARD)
    assert set(content["worst"]) == {"numbers", "labels", "leaks", "attacks"}
    longest = max(len(v) for v in _lists(content) if all(isinstance(x, float) for x in v))
    assert longest == 16  # the leaks of the worst records
    loaded = PrivacyCard.load(tmp_path)
    assert loaded.worst.records is None
    loaded.save(tmp_path / "again")
    assert [path.name for path in (tmp_path / "again").iterdir()] == [CARD]


def _lists(value: Any) -> list[list[Any]]:
    if isinstance(value, dict):
        return [one for item in value.values() for one in _lists(item)]
    if isinstance(value, list):
        return [value, *(one for item in value for one in _lists(item))] if value else []
    return []


def test_the_json_names_the_obfuscator_at_its_top(tmp_path: Path) -> None:
    audited().save(tmp_path, pictures=False)
    assert read_json(tmp_path / CARD)["obfuscator"] == audited().obfuscator


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.unlink(), "is not there"),
        (lambda path: path.write_text(path.read_text()[:-200]), "truncated or damaged"),
        (lambda path: path.write_text("[]"), "not a privacy card of schema"),
        (lambda path: change(path, schema="sfumato.privacy_card/2"), "not a privacy card of"),
        (lambda path: change(path, strongest="none"), "its checksum does not match"),
        (lambda path: change(path, sign=True, attacks=[{}]), "does not say what a card should"),
        (lambda path: change(path, sign=True, leak={"mean": 0}), "does not say what a card"),
    ],
)
def test_a_damaged_card(tmp_path: Path, spoil: Any, message: str) -> None:
    audited().save(tmp_path, pictures=False)
    spoil(tmp_path / CARD)
    with pytest.raises(StoreError, match=message):
        PrivacyCard.load(tmp_path)


def change(path: Path, *, sign: bool = False, **changes: Any) -> None:
    content = {**read_json(path), **changes}
    if sign:
        content.pop("checksum")
        content["checksum"] = json_checksum(content)
    write_json(path, content)


def test_damaged_pictures(tmp_path: Path) -> None:
    audited().save(tmp_path)
    (tmp_path / PICTURES).write_bytes(b"none")
    with pytest.raises(StoreError, match=r"privacy_card\.safetensors is truncated"):
        PrivacyCard.load(tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        audited().save(tmp_path / "file")


def test_bounds() -> None:
    card = trusted()
    assert card.broken_bounds() == ()
    assert card.broken_bounds(max_leak=0.99, max_linkage=0.5, max_epsilon=5) == ()
    highest = max(row.figures["leak"].high for row in card.attacks if row.reconstructs)
    assert card.broken_bounds(max_leak=highest) == ()
    (words,) = card.broken_bounds(max_leak=highest - 1e-6)
    assert words.startswith("linear-pooled on 4 releases: leak ")
    (words,) = card.broken_bounds(max_linkage=0.21)  # the mean keeps it, the interval does not
    assert "linkage on 1 release: linkage 0.200 [0.180, 0.220] passes 0.21" in words
    (words,) = card.broken_bounds(max_epsilon=4)
    assert "Certified. The bound is ε ≤ 4" in words


def test_the_unusual_records_have_a_bound_of_their_own() -> None:
    card = trusted()
    most = max(row.figures["leak_95"].high for row in card.attacks if row.reconstructs)
    assert card.keeps(max_leak_95=most)
    (words,) = card.broken_bounds(max_leak_95=most - 1e-6)
    assert "linear-pooled on 4 releases: 95th percentile of the leaks" in words
    best = AttackRow("best-per-record", 1, False, "leak", 0.0, {"leak": figure(0.99)})
    assert trusted(attacks=(*card.attacks, best)).keeps(max_leak=0.98)  # no attacker: no bound


def test_keeping_a_bound_is_true() -> None:
    card = trusted()
    assert card.keeps(max_leak=0.99, max_linkage=0.5, max_epsilon=5)
    assert not card.keeps(max_leak=0.1)
    assert not card.keeps(max_leak=0.99, max_epsilon=4)
    assert not trusted(trusted=False).keeps(max_leak=2.0)
    assert not hasattr(card, "within")  # a name that says the opposite of what it gave
    with pytest.raises(SettingError, match="give at least one bound"):
        card.keeps()


@pytest.mark.parametrize("name", ["max_leak", "max_leak_95", "max_linkage", "max_epsilon"])
@pytest.mark.parametrize("value", [float("nan"), -0.1, -float("inf")])
def test_a_bound_that_is_none(name: str, value: float) -> None:
    for held in (trusted().keeps, trusted().broken_bounds):
        with pytest.raises(SettingError, match=f"{name} must be a number of at least 0, not"):
            held(**{name: value})


def test_a_card_of_few_attacks_or_a_small_budget_is_not_complete() -> None:
    assert not trusted().complete
    whole = trusted(config={**audited().config, "complete": True}, limits=())
    assert whole.complete and whole.verdict[0].startswith("An attacker with one release")
    assert not replace(whole, trusted=False).complete
    bare = trusted(limits=("The attackers had a small budget (quick): more may be found.",))
    assert bare.verdict[0] == bare.limits[0]


def test_what_is_not_shown_is_not_kept() -> None:
    card = trusted(attacks=audited().attacks, certificate=())
    assert "No linkage attack was run" in card.broken_bounds(max_linkage=0.9)[0]
    assert "no certificate" in card.broken_bounds(max_epsilon=100)[0]
    absent = (Certified(10, False, None, 1e-5, "Not certified: no bound."),)
    assert (
        "10 releases: Not certified" in trusted(certificate=absent).broken_bounds(max_epsilon=9)[0]
    )
    assert "keeps no bound" in trusted(trusted=False).broken_bounds(max_leak=2.0)[0]


def test_the_verdict() -> None:
    lines = trusted().verdict
    assert lines[0] == "Only these attacks were run: linear-pooled, class-mean."
    found = next(line for line in lines if line.startswith("An attacker with one release of a"))
    assert "by linear-pooled." in found
    text = " ".join(lines)
    assert "With 4 releases of a record it is" in text
    assert "in 20.0 % of cases, where chance has 1.0 %" in text
    assert lines[-1] == "Certificate: Certified."
    failed = replace(audited().controls[0], passed=False)
    assert "not to be trusted: 1 of its controls failed" in trusted(controls=(failed,)).verdict[0]


def test_the_verdict_names_what_else_gives_records_away() -> None:
    rows = (
        AttackRow("selection", 1, False, "parameters", 0.0, {"parameters": figure(0.9)}),
        AttackRow("label", 1, False, "constant_image", 0.1, {"constant_image": figure(0.3)}),
        AttackRow(
            "membership", 1, False, "released", 0.5, {"released": figure(0.6), "clean": figure(0.9)}
        ),
        AttackRow("attribute-x", 1, False, "accuracy", 0.5, {"accuracy": figure(0.51)}),
    )
    text = " ".join(trusted(attacks=(*audited().attacks, *rows)).verdict)
    assert "would tell 90.0 % of it" in text
    assert "label on 1 release: constant_image 0.300, above chance (0.100)." in text
    assert "of the released part in 60.0 % and of the clean part in 90.0 % of cases" in text
    assert "attribute-x" not in text  # its interval holds chance


def test_plain_noise_of_the_same_leak_is_named() -> None:
    """The audited noise is isotropic with σ = 1, and that is what the card finds."""
    (line,) = [line for line in audited().verdict if line.startswith("Plain isotropic noise")]
    sigma = float(line.split("σ = ")[1].split()[0])
    assert sigma == pytest.approx(1.0, abs=0.15)


def test_an_attack_that_is_not_there() -> None:
    with pytest.raises(SettingError, match="no attack 'mine' at K = 1; there are"):
        audited().attack("mine")


def test_in_words() -> None:
    text = str(audited())
    assert "needy" in text and "not run: this attack needs 3 classes" in text
    assert repr(trusted()).startswith("<PrivacyCard leak=")
    assert json.loads(json.dumps(dict(audited().config)))["seeds"] == [0, 1]
