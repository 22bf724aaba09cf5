from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_model

import sfumato as sf
from sfumato.cli import main
from sfumato.cli.audit.results import results_of, validate_results
from sfumato.errors import StoreError, UnauditedWarning
from sfumato.files import read_json
from sfumato.privacy.attacks import LinearAttack, LinkageAttack
from sfumato.privacy.card import PrivacyCard
from sfumato.report import validate_card
from tests.privacy import audited

STORED = ["--releases", "1", "--seeds", "1", "--attacked", "60"]
QUICK = [*STORED, "--limit", "400"]


def linear(shape: tuple[int, ...], classes: int) -> torch.nn.Module:
    """A model of the user's own."""
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(shape[1] * shape[2], classes))


@pytest.fixture
def place(here: Path) -> Path:
    """An obfuscator in a run's folder."""
    obfuscator = sf.obfuscation.isotropic((1, 8, 8), 0.5)
    obfuscator.save(here / "fit/obfuscator")
    return here / "fit/obfuscator"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What `sf.audit` is called with; it runs two quick attacks in any case."""
    seen: list[dict[str, Any]] = []
    real = sf.audit

    def audit(obfuscator: Any, data: Any, **settings: Any) -> Any:
        seen.append({"data": data, **settings})
        attacks = [LinearAttack(), LinkageAttack()]
        return real(obfuscator, data, **{**settings, "attacks": attacks, "more": ()})

    monkeypatch.setattr(sf, "audit", audit)
    monkeypatch.setattr("sfumato.privacy.audits.judge.RECIPE", sf.train.Recipe(1, 1))
    return seen


def test_audit(
    calls: list[dict[str, Any]], place: Path, capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    with pytest.warns(UnauditedWarning):
        sf.Obfuscator.load(place)
    assert main(["audit", "fit", *QUICK, "--out", "run", "--sign_partial"]) == 0
    out = capsys.readouterr().out
    assert "An attacker with one release of a record recovers" in out
    assert out.splitlines()[-1] == "card: run/privacy_card.html"
    content = read_json(here / "run/privacy_card.json")
    validate_card(content)
    assert content["data"]["target"] == 60
    page = (here / "run/privacy_card.html").read_bytes()
    assert (here / "run/report.html").read_bytes() == page
    assert (here / "run/config.yaml").is_file()
    (here / "run/report.html").unlink()
    assert main(["report", "--run", "run"]) == 0
    assert b"<title>" in (here / "run/report.html").read_bytes()
    (call,) = calls
    assert (call["releases"], list(call["seeds"]), call["budget"]) == ((1,), [0], "full")
    assert sf.Obfuscator.load(place).digest() == content["obfuscator"]  # it warns no more
    assert not (place / "privacy_card.safetensors").exists()  # no record leaves with it


def test_the_results_are_those_of_the_card(
    calls: list[dict[str, Any]], place: Path, here: Path
) -> None:
    assert main(["audit", "fit", *QUICK, "--out", "run", "--max_leak", "0.1"]) == 1
    results, card = read_json(here / "run/results.json"), PrivacyCard.load(here / "run")
    validate_results(results)
    assert results["schema"] == "sfumato.audit_results/1" and results["command"] == "audit"
    assert results["leak"] == {"mean": card.leak.mean, "std": card.leak.std, "n": 1}
    assert (results["data"]["train"], results["data"]["test"]) == (400, 60)
    assert results["verdict"] == list(card.verdict)
    assert results["config"]["max_leak"] == 0.1 and results["config"]["quick"] is False
    (broken,) = results["broken_bounds"]
    assert "passes 0.1" in broken
    found = {(row["name"], row["place"]): row["found"]["mean"] for row in results["attacks"]}
    assert found["linkage", "fresh"] == card.attack("linkage").score.mean
    assert [one["certified"] for one in results["certificate"]] == [False]


def test_an_attack_that_was_not_run_is_no_zero_in_the_results() -> None:
    results = results_of(audited.card(), {}, ())
    validate_results(results)
    (needy,) = [
        row for row in results["attacks"] if row["name"] == "needy" and row["releases"] == 1
    ]
    assert needy["not_run"] == "this attack needs 3 classes"
    assert "found" not in needy


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"command": "fit"}, "results.json: command: 'audit' was expected"),
        ({"leak": {"mean": 0.5}}, "results.json: leak.std is missing"),
        ({"attacks": [{"name": "linear", "releases": 1, "place": "fresh"}]}, r"attacks\[0\]"),
    ],
)
def test_results_that_do_not_fit(change: dict[str, Any], message: str) -> None:
    with pytest.raises(StoreError, match=message):
        validate_results({**results_of(audited.card(), {}, ()), **change})


def test_bounds_make_the_exit_code(
    calls: list[dict[str, Any]], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", "fit", *QUICK, "--out", "kept", "--max_leak", "0.99"]) == 0
    assert main(["audit", "fit", *QUICK, "--out", "passed", "--max_leak", "0.1"]) == 1
    done = capsys.readouterr()
    assert "bound broken: linear on 1 release: leak 0." in done.err
    assert "passes 0.1" in done.err
    assert done.out.splitlines()[-1] == "card: passed/privacy_card.html"
    assert main(["audit", "fit", *QUICK, "--out", "more", "--max_epsilon", "1"]) == 1
    assert "The bound is ε ≤ 1" in capsys.readouterr().err


def test_the_bound_on_the_unusual_records(
    calls: list[dict[str, Any]], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", "fit", *QUICK, "--out", "kept", "--max_leak_95", "0.99"]) == 0
    assert main(["audit", "fit", *QUICK, "--out", "broken", "--max_leak_95", "0.1"]) == 1
    assert "95th percentile of the leaks" in capsys.readouterr().err
    for wrong in (".nan", "-0.1"):
        assert main(["audit", "fit", *QUICK, "--out", "wrong", f"--max_leak={wrong}"]) == 2
        assert "max_leak must be a number of at least 0" in capsys.readouterr().err
    assert len(calls) == 2  # told before the work


def test_a_partial_audit_signs_only_when_asked(
    calls: list[dict[str, Any]], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["audit", "fit", *QUICK]
    assert main([*words, "--out", "run"]) == 0
    out = capsys.readouterr().out
    assert "Only these attacks were run: linear, linkage." in out.splitlines()
    assert "the audit was quick or of few attacks" in out
    assert not (place / "privacy_card.json").exists()
    assert main([*words, "--out", "other", "--sign_partial"]) == 0
    assert (place / "privacy_card.json").exists()


def test_a_partial_release_is_audited_as_it_lies(
    calls: list[dict[str, Any]], place: Path, capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    share = ["--share", "0.2", "--policy", "random"]
    assert main(["release", "--obfuscator", "fit", *share, "--out", "rel"]) == 0
    assert main(["audit", "fit", *STORED, "--released", "rel", "--out", "run"]) == 0
    card = read_json(here / "run/privacy_card.json")
    assert {row["name"] for row in card["attacks"] if row["stored"]} == {"linear", "linkage"}
    out = read_json(here / "rel/chosen.json")["records"]
    assert set(card["worst"]["numbers"]) <= set(out)
    other = ["--released", "rel", "--data", "elsewhere"]
    assert main(["audit", "fit", *STORED, *other, "--out", "more"]) == 2
    assert "was released from --data digits" in capsys.readouterr().err


def test_it_resumes(
    calls: list[dict[str, Any]], place: Path, capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    words = ["audit", "fit", *QUICK, "--out", "run", "--sign", "false"]
    assert main(words) == 0
    before = read_json(here / "run/privacy_card.json")
    capsys.readouterr()
    assert main(words) == 0
    assert "1 of" not in capsys.readouterr().out  # no cell was run again
    assert read_json(here / "run/privacy_card.json")["leak"] == before["leak"]
    assert not (place / "privacy_card.json").exists()


def test_ctrl_c_says_how_to_go_on(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sf, "audit", interrupted)
    assert main(["audit", "fit", "--out", "run"]) == 130
    assert "sfumato audit fit --out run" in capsys.readouterr().err


def test_an_untrusted_card_does_not_sign(
    calls: list[dict[str, Any]],
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sfumato.privacy.audits.controls.MUST_FIND", 1.5)
    assert main(["audit", "fit", *QUICK, "--out", "run"]) == 0
    out = capsys.readouterr().out
    assert "This audit is not to be trusted: 1 of its controls failed" in out
    assert "was not put into the obfuscator's folder" in out
    assert not (place / "privacy_card.json").exists()


def test_a_stored_set(calls: list[dict[str, Any]], place: Path, here: Path) -> None:
    assert main(["release", "--obfuscator", "fit", "--out", "rel"]) == 0
    assert main(["audit", "fit", *STORED, "--released", "rel", "--out", "run"]) == 0
    attacks = read_json(here / "run/privacy_card.json")["attacks"]
    assert {row["name"] for row in attacks if row["stored"]} == {"linear", "linkage"}
    assert len(calls[0]["data"]) > 1400


def test_a_model_is_attacked_with_its_weights(
    calls: list[dict[str, Any]], place: Path, here: Path
) -> None:
    save_model(linear((1, 8, 8), 10), "model.safetensors")
    model = ["--model", f"{__name__}:linear", "--weights", "model.safetensors"]
    assert main(["audit", "fit", *QUICK, *model, "--out", "run"]) == 0
    assert isinstance(calls[0]["model"], torch.nn.Sequential)


def test_membership_is_inferred_where_the_training_set_is_known(
    calls: list[dict[str, Any]], place: Path
) -> None:
    save_model(linear((1, 8, 8), 10), "model.safetensors")
    model = ["--model", f"{__name__}:linear", "--weights", "model.safetensors"]
    assert main(["release", "--obfuscator", "fit", "--out", "rel"]) == 0
    known = ["--released", "rel", "--clean", "digits"]
    assert main(["audit", "fit", *STORED, *model, *known, "--out", "run"]) == 0
    (attack,) = calls[0]["more"]
    sizes = [len(part) for part in (attack.clean, attack.released, attack.others, attack.stored)]
    assert sizes == [1438, 1438, 359, 1438]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["audit"], "obfuscator"),
        (["audit", "nowhere"], "there is no obfuscator at nowhere"),
        (["audit", "fit", "--released", "nowhere"], "no released set at nowhere"),
        (["audit", "fit", "--released", "x", "--limit", "9"], "--limit cannot be used with"),
        (["audit", "fit", "--model", "models:make"], "--model needs --weights"),
        (["audit", "fit", "--clean", "digits"], "--clean needs --released and --weights"),
        (["audit", "fit", "--weights", "none.safetensors"], "none.safetensors cannot be loaded"),
        (["audit", "fit", "--releases", "0"], "releases are whole numbers of at least 1"),
        (["audit", "fit", "--seeds", "0"], "one or more different seeds"),
        (["audit", "fit", "--attacked", "20"], "20 attacked records are too few"),
        (["audit", "fit", "--data", "no/such"], "no/such"),
    ],
)
def test_what_cannot_be_audited(
    words: list[str], message: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert message in capsys.readouterr().err
