from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import sfumato as sf
from sfumato.data.records import Records
from sfumato.errors import DataError, SettingError, StoreError
from sfumato.obfuscation.release import release_dataset
from sfumato.privacy import DecoderSettings
from sfumato.privacy.attacks import LinearAttack, MembershipAttack
from sfumato.privacy.audits.collect import BEST
from sfumato.privacy.control import ClosedForm, Isotropic
from tests.privacy.audited import (
    Broken,
    ClassMean,
    Counting,
    Identity,
    Needy,
    card,
    records,
    run,
)

KNOWN, TARGET = records(200), records(100, seed=1)


def test_the_leak_is_that_of_the_strongest_attack() -> None:
    found = card()
    assert found.strongest == "linear-pooled"
    assert found.leak == found.attack("linear-pooled", 1).figures["leak"]
    assert found.attack("class-mean").figures["leak"].mean == 0
    assert found.leak.n == 2
    assert found.leak.low < found.leak.mean < found.leak.high


def test_the_leak_is_the_closed_form() -> None:
    """Of the linear decoder; draws of 100 records of 16 elements move it by less than 0.05."""
    expected = ClosedForm(KNOWN, TARGET).leak(1.0)
    assert abs(card().leak.mean - expected.mean) < 0.05
    assert expected.mean > 0.5


def test_more_releases_leak_more() -> None:
    one, four = (card().attack("linear-pooled", k).figures["leak"].mean for k in (1, 4))
    assert four > one + 0.05


def test_the_best_per_record_is_at_least_the_best_attack() -> None:
    best, strongest = card().attack(BEST).figures, card().leak
    assert best["leak"].mean >= strongest.mean
    assert not card().attack(BEST).reconstructs  # no attacker: it is not what bounds look at


def test_an_attack_that_cannot_run_says_why() -> None:
    row = card().attack("needy")
    assert row.skipped == "this attack needs 3 classes"
    assert "Not run: needy: this attack needs 3 classes." in card().verdict[:4]
    with pytest.raises(SettingError, match="was not run: this attack needs"):
        _ = row.score
    it_can = run(attacks=[LinearAttack(), Needy(2)], control=False)
    assert it_can.attack("needy").score.mean == 0.75


def test_worst_records() -> None:
    worst = card().worst
    assert len(worst.numbers) == len(set(worst.numbers)) == 16
    assert list(worst.leaks) == sorted(worst.leaks, reverse=True)
    assert worst.records is not None and worst.reconstructions is not None
    assert torch.equal(worst.records, TARGET.inputs[list(worst.numbers)])
    assert worst.releases is not None and worst.releases.shape == worst.records.shape
    own = 1 - (worst.reconstructions - worst.records).square().flatten(1).sum(1)
    assert worst.labels == tuple(TARGET.labels[list(worst.numbers)].tolist())
    assert bool(own.isfinite().all())


def test_a_sharp_obfuscator_leaks_everything() -> None:
    found = run(obfuscator=Isotropic(1e-3), releases=(1,))
    assert found.leak.mean > 0.999
    assert found.attack("linear-pooled").figures["over_half"].mean == 1


def test_an_attack_that_does_not_look_is_not_trusted() -> None:
    found = run(attacks=[ClassMean()], releases=(1,), seeds=(0,))
    assert not found.trusted
    assert "This audit is not to be trusted" in found.verdict[0]
    failed = {(c.attack, c.kind) for c in found.controls if not c.passed}
    assert ("class-mean", "quiet") in failed
    assert found.broken_bounds(max_leak=0.5)[0].startswith("This audit is not to be trusted")


def test_an_attack_weaker_than_the_closed_form_is_not_trusted() -> None:
    """Taking the release for the record is right without noise, and far too weak with it."""
    found = run(attacks=[Identity()], releases=(1,), seeds=(0,))
    assert {c.kind for c in found.controls if not c.passed} == {"known"}


def test_without_controls_nothing_is_trusted() -> None:
    found = run(control=False, releases=(1,), seeds=(0,))
    assert not found.trusted
    assert found.controls == () and found.baselines.isotropic == ()
    assert "without its controls" in found.verdict[0]


def test_a_small_budget_and_few_attacks_are_said_first() -> None:
    found = run(
        attacks=None,
        budget=DecoderSettings(steps=2, width=2, check_every=1),
        releases=(1,),
        seeds=(0,),
        control=False,
    )
    assert found.limits == (
        "The attackers had a small budget (quick): with the full one they may find more.",
    )
    assert found.verdict[1] == found.limits[0] and not found.config["complete"]
    few = run(releases=(1,), seeds=(0,))
    assert few.trusted and not few.complete
    assert few.verdict[0] == "Only these attacks were run: linear-pooled."
    bare = run(attacks=[LinearAttack(), Needy(2)], releases=(1,), seeds=(0,))
    assert "No control fits: needy." in bare.verdict[:2]


def test_one_data_set_is_split() -> None:
    found = run(data=records(150), releases=(1,), seeds=(0,), attacked=50, control=False)
    assert (found.data["auxiliary"], found.data["target"]) == (100, 50)
    assert "One data set of 150 records was split" in found.data["split"]
    assert found.data["split"] in " ".join(found.threat_model)
    half = run(data=records(150), releases=(1,), seeds=(0,), control=False)
    assert (half.data["auxiliary"], half.data["target"]) == (75, 75)


def test_any_data_set_will_do() -> None:
    items = [TARGET[i] for i in range(80)]
    found = run(data=(KNOWN, items), releases=(1,), seeds=(0,), control=False)
    assert found.data["target"] == 80


def test_the_same_audit_twice_is_the_same() -> None:
    one, two, other = (run(control=False, seeds=seeds) for seeds in ((0, 1), (0, 1), (0, 2)))
    assert one.leak == two.leak and one.worst.leaks == two.worst.leaks
    assert one.config_sha256 == two.config_sha256 != other.config_sha256
    assert one.data["fingerprint"] == other.data["fingerprint"]


def test_an_interrupted_audit_resumes(tmp_path: Path) -> None:
    log, folder = str(tmp_path / "log"), tmp_path / "audit"
    with pytest.raises(KeyboardInterrupt):
        run(attacks=[Counting(log, fail_at=3)], folder=folder)
    done: list[Any] = []
    resumed = run(attacks=[Counting(log, fail_at=3)], folder=folder, progress=done.append)
    runs = Path(log).read_text().splitlines()
    cells = 2 * 2 + 7  # K × seeds, and the controls
    assert len(runs) == cells + 1  # the one that was cut short ran twice
    assert len(done) == cells - 2
    whole = run(attacks=[Counting(str(tmp_path / "other"), fail_at=99)])
    assert resumed.leak == whole.leak
    assert resumed.controls == whole.controls


def test_a_folder_holds_one_audit(tmp_path: Path) -> None:
    run(folder=tmp_path, releases=(1,), seeds=(0,), control=False)
    with pytest.raises(SettingError, match=r"holds another audit \(releases differ\)"):
        run(folder=tmp_path, releases=(2,), seeds=(0,), control=False)
    with pytest.raises(SettingError, match=r"another audit \(obfuscator differ\)"):
        run(folder=tmp_path, obfuscator=Isotropic(2.0), releases=(1,), seeds=(0,), control=False)


@pytest.mark.parametrize("ending", ["safetensors", "json"])
@pytest.mark.parametrize("spoil", [lambda path: path.unlink(), lambda path: path.write_text("{")])
def test_a_damaged_cell_is_computed_again(tmp_path: Path, ending: str, spoil: Any) -> None:
    log = str(tmp_path / "log")
    settings: dict[str, Any] = {"folder": tmp_path / "a", "releases": (1,), "seeds": (0,)}
    settings |= {"attacks": [Counting(log)], "control": False}
    whole = run(**settings)
    for file in (tmp_path / "a").rglob(f"seed-0.{ending}"):
        spoil(file)
    again = run(**settings)
    assert again.leak == whole.leak and again.worst.leaks == whole.worst.leaks
    assert len(Path(log).read_text().splitlines()) == 2
    run(**settings)
    assert len(Path(log).read_text().splitlines()) == 2


def released(tmp_path: Path, data: Records, sigma: float = 1.0) -> tuple[sf.Obfuscator, Path]:
    obfuscator = sf.obfuscation.isotropic(data.shape, sigma)
    release_dataset(obfuscator, data, tmp_path / "released")
    return obfuscator, tmp_path / "released"


def test_the_stored_set_is_attacked_too(tmp_path: Path) -> None:
    data = records(150)
    obfuscator, folder = released(tmp_path, data)
    common: dict[str, Any] = {"obfuscator": obfuscator, "releases": (1,), "control": False}
    found = run(data=data, released=folder, attacked=50, **common)
    stored = found.attack("linear-pooled", stored=True)
    assert abs(stored.score.mean - found.attack("linear-pooled").score.mean) < 0.1
    assert "the stored release of every attacked record was attacked" in " ".join(
        found.threat_model
    )
    # As a pair: the target is what was released.
    pair = run(data=(KNOWN, data), released=tmp_path, **common)
    assert pair.attack("linear-pooled", stored=True).score.n == 2


def test_a_stored_set_that_leaks_more_is_what_counts(tmp_path: Path) -> None:
    """The stored releases are another draw: here the attacked records themselves."""
    data = records(150)
    obfuscator, folder = released(tmp_path, data, sigma=0.01)
    noisy = sf.obfuscation.isotropic(data.shape, 2.0)
    noisy.digest = obfuscator.digest
    found = run(obfuscator=noisy, data=data, released=folder, attacks=[Identity()], control=False)
    assert found.strongest == "identity on the stored set"
    assert found.leak.mean > 0.99 > found.attack("identity").score.mean


def test_a_stored_set_that_does_not_fit(tmp_path: Path) -> None:
    data = records(150)
    obfuscator, folder = released(tmp_path, data)
    common: dict[str, Any] = {"obfuscator": obfuscator, "releases": (1,), "control": False}
    with pytest.raises(StoreError, match="the folder does not exist"):
        run(data=data, released=tmp_path / "nowhere", **common)
    (tmp_path / "empty").mkdir()
    with pytest.raises(StoreError, match="no finished release"):
        run(data=data, released=tmp_path / "empty", **common)
    with pytest.raises(StoreError, match="are not those of the 152 records"):
        run(data=records(152), released=folder, **common)
    other = sf.obfuscation.isotropic(data.shape, 3.0)
    with pytest.raises(StoreError, match="by another obfuscator"):
        run(data=data, released=folder, **{**common, "obfuscator": other})
    shard = next(folder.glob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(StoreError, match=r"train-00000-of-00001\.parquet"):
        run(data=data, released=folder, **common)


def one_class(part: Records) -> Records:
    return replace(part, labels=torch.zeros_like(part.labels))


def with_nan(part: Records) -> Records:
    inputs = part.inputs.clone()
    inputs[3, 0, 1, 1] = torch.nan
    return replace(part, inputs=inputs)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"data": (KNOWN, TARGET.subset([]))}, DataError, "holds no records"),
        ({"data": (KNOWN, [])}, DataError, "holds no records"),
        ({"data": (KNOWN, TARGET.subset(range(31)))}, DataError, "31 attacked records are too few"),
        ({"data": records(63)}, DataError, "31 attacked records are too few"),
        ({"data": (KNOWN, TARGET, TARGET)}, DataError, "a pair, not 3 parts"),
        ({"data": (KNOWN, one_class(TARGET))}, DataError, "all 100 records of tiny have the label"),
        ({"data": (with_nan(KNOWN), TARGET)}, DataError, "record 3 of tiny holds NaN"),
        ({"data": (records(99, size=5), TARGET)}, DataError, r"are \[1, 5, 5\], attacked ones"),
        ({"obfuscator": Broken()}, DataError, "a release holds NaN or infinity"),
        ({"releases": ()}, SettingError, "releases are whole numbers"),
        ({"releases": (0,)}, SettingError, "releases are whole numbers"),
        ({"seeds": ()}, SettingError, "one or more different seeds"),
        ({"seeds": (1, 1)}, SettingError, "one or more different seeds"),
        ({"budget": "some"}, SettingError, "one of quick, full"),
        ({"delta": 0.0}, SettingError, "delta must lie between"),
        ({"attacked": 0}, SettingError, "attacked must be at least 1"),
        ({"attacks": []}, SettingError, "names of their own"),
        ({"attacks": [ClassMean(), ClassMean()]}, SettingError, "names of their own"),
        ({"attacks": ["linear"]}, SettingError, "an attack is a .*Attack, not str"),
        ({"attacks": [Needy()]}, SettingError, "no attack reconstructs.*needs 3 classes"),
    ],
)
def test_what_cannot_be_audited(
    changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        run(**changes)


def test_the_default_suite_runs_on_anything() -> None:
    """Every attack of the package, as small as they come, on records that are vectors."""
    flat = replace(KNOWN, inputs=KNOWN.inputs.flatten(1))
    target = replace(TARGET, inputs=TARGET.inputs.flatten(1))
    budget = sf.privacy.DecoderSettings(steps=4, check_every=2)
    found = run(
        data=(flat, target), attacks=None, budget=budget, releases=(1,), seeds=(0,), model=None
    )
    assert found.attack("linear").figures["accuracy"].mean > 0.9
    names = [row.name for row in found.attacks]
    assert {"linear", "network", "linkage", "label", "selection", BEST} <= set(names)
    assert found.attack("linkage").chance < 0.05
    assert all(c.passed for c in found.controls if c.attack in ("linear", "linkage"))


def test_more_attacks_stand_beside_the_others() -> None:
    """Membership looks at the model: it runs once for each seed and needs no noise as a control."""
    membership = MembershipAttack(KNOWN, KNOWN, TARGET, kind="lr")
    found = run(more=[membership, ClassMean()], attacks=[LinearAttack()], releases=(1, 2))
    assert [row.releases for row in found.attacks if row.name == "membership"] == [1]
    row = found.attack("membership")
    assert row.score.low < 0.5 < row.score.high  # the judge was not trained on anything
    assert "membership" not in {control.attack for control in found.controls}
    assert "class-mean" in {control.attack for control in found.controls}


def test_a_secure_obfuscator_is_rehearsed() -> None:
    """Its own draws take no seed, so that a copy of it without secure mode is attacked."""
    plain = sf.obfuscation.isotropic((1, 4, 4), 1.0)
    safe = sf.Obfuscator(plain.layer, secure=True)
    settings: dict[str, Any] = {"releases": (1,), "seeds": (0,), "control": False}
    found = run(obfuscator=safe, **settings)
    assert found.leak == run(obfuscator=plain, **settings).leak
    assert found.obfuscator == safe.digest() != plain.digest()


def test_what_was_clipped_has_a_certificate() -> None:
    plain = sf.obfuscation.isotropic((1, 4, 4), 3.0)
    clipped = sf.Obfuscator(plain.layer, pre=sf.nn.ClipNorm(1.0))
    one, four = run(obfuscator=clipped, seeds=(0,), control=False).certificate
    assert one.certified and four.certified
    assert one.epsilon is not None and four.epsilon is not None and one.epsilon < four.epsilon
    absent = card().certificate[0]
    assert (absent.certified, absent.epsilon) == (False, None)
    assert absent.words.startswith("Not certified:")
