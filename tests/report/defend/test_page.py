from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from sfumato.errors import StoreError
from sfumato.files import write_json
from sfumato.report.defend.page import DEFEND_SCHEMA, render_defend, validate_defend, write_defend
from sfumato.report.defend.tables import certified, radii_of
from sfumato.report.defend.words import facts, verdict


def share(mean: float) -> dict[str, Any]:
    return {"mean": mean, "low": max(0.0, mean - 0.05), "high": min(1.0, mean + 0.05), "n": 200}


def attack(name: str, kind: str, mean: float, **budget: Any) -> dict[str, Any]:
    return {
        "name": name, "kind": kind, "target": "sampled", "accuracy": {"sampled": share(mean)},
        "distance": 0.09, "budget": {"loss": "margin", **budget}, "seconds": 1.0, "skipped": "",
    }  # fmt: skip


def report(worst: tuple[float, float], masked: bool = False) -> dict[str, Any]:
    levels = []
    for epsilon, mean in zip((0.1, 0.2), worst, strict=True):
        rows = [attack("margin-pgd", "first-order", mean + 0.02, steps=40, restarts=2)]
        rows.append(attack("square", "black-box", mean, queries=500))
        levels.append(
            {"epsilon": epsilon, "worst": {"sampled": share(mean)}, "strongest": "square",
             "attacks": rows, "records": [1.0, 0.0]}
        )  # fmt: skip
    reason = "at ε = 0.1 the black-box attack square leaves an accuracy of 30.0 %"
    return {
        "schema": "sfumato.robustness_report/1",
        "verdict": "gradient masking" if masked else "no sign of gradient masking",
        "reasons": [reason, "another"] if masked else [],
        "prediction": "sampled", "norm": "linf", "records": 200, "stochastic": False,
        "clean": {"sampled": share(0.97)}, "levels": levels,
        "unbounded": {"worst": share(0.0)}, "zero_gradient": {"cross_entropy": 0.25},
        "convergence": {"1": share(0.8)}, "notes": ["one draw is all"], "settings": {},
    }  # fmt: skip


def sample(masked: bool = False) -> dict[str, Any]:
    row = {"sigma": 0.5, "n0": 100, "n": 1000, "alpha": 0.001, "labels": [0, 1, 1, 0]}
    ours = {"name": "ours", **row, "predictions": [0, 1, -1, 1], "radii": [0.6, 1.2, 0.0, 0.3]}
    theirs = {**ours, "name": "published", "radii": [0.4, 0.9, 0.0, 0.3]}
    content = {
        "schema": DEFEND_SCHEMA, "command": "defend",
        "provenance": {"date": "2026-01-02T03:04:05"}, "config": {"data": "digits"},
        "data": {"name": "digits", "train": 1438, "test": 359, "shape": [1, 8, 8],
                 "classes": ["zero", "one"]},
        "defence": "plain + PGD", "epsilon": 0.1, "robustness": report((0.76, 0.1), masked),
        "beside": report((0.4, 0.0)), "certificates": [ours, theirs],
    }  # fmt: skip
    return {**content, "verdict": verdict(content)}


def test_the_honest_figure_stands_first() -> None:
    first, masking, beside, certificate = sample()["verdict"]
    assert first.startswith("Under the worst of 2 attacks at L∞ ε = 0.1, 76.0 % of the records")
    assert "without an attack 97.0 %" in first
    assert masking.startswith("No sign of gradient masking")
    assert beside.endswith("97.0 % without an attack.")
    assert "within L2 radius 0.5" in certificate
    assert "50.0 % (ours), 25.0 % (published)" in certificate


def test_too_few_records_are_said() -> None:
    results = sample()
    results["robustness"] |= {"verdict": "too few records to tell", "reasons": ["a larger ε"]}
    results["verdict"] = verdict(results)
    validate_defend(results)
    masking = results["verdict"][1]
    assert masking.startswith("Whether the gradient is hidden cannot be told from 200 records: a l")
    assert "The verdict: <strong>too few records to tell" in render_defend(results, {})


def test_a_quick_suite_is_said() -> None:
    results = sample()
    results["config"] = {"attacks": "quick"}
    assert "finds less than the standard one" in verdict(results)[0]


def test_masking_and_a_useless_defence_are_said() -> None:
    results = sample(masked=True)
    results["beside"] = report((0.74, 0.1))
    results["certificates"] = []
    _, masking, beside = verdict(results)
    assert masking.startswith("Gradient masking: at ε = 0.1 the black-box attack square leaves")
    assert "(and 1 more reasons below)" in masking
    assert beside.endswith("this defence buys nothing that these records can show.")
    results["beside"] = None
    assert len(verdict(results)) == 2


def test_the_page(tmp_path: Path) -> None:
    write_json(tmp_path / "results.json", sample())
    records = np.random.default_rng(0).random((2, 1, 8, 8)).astype(np.float32)
    labels, said = np.array([0, 1]), np.array([1, 0])
    tensors = {"original": records, "adversarial": records * 0.9, "labels": labels}
    save_file({**tensors, "predicted": said}, tmp_path / "pictures.safetensors")
    page = write_defend(tmp_path).read_text(encoding="utf-8")
    assert page.index("Under the worst of 2 attacks") < page.index("<svg")
    for words in (
        "digits: plain + PGD, under attack", "steps 40, restarts 2", "queries 500",
        "Zero gradient, cross-entropy", "25 %", "one draw is all", "Adversarial examples",
        "published", "what the network says", "Nobody can attack with everything",
    ):  # fmt: skip
        assert words in page, words
    assert page.count("data:image/png") == 6
    assert "http" not in page.replace("http-equiv", "")


def test_a_page_without_pictures_certificates_and_comparison() -> None:
    results = sample(masked=True)
    results.update(certificates=[], beside=None)
    page = render_defend(results, {})
    assert "<strong>gradient masking</strong>" in page
    assert "Adversarial examples" not in page
    assert "Certificates</h2>" not in page


def test_an_attack_that_could_not_run() -> None:
    results = sample()
    row = results["robustness"]["levels"][0]["attacks"][0]
    row.update(skipped="the model gives no gradient", accuracy={})
    validate_defend(results)
    assert "the model gives no gradient" in render_defend(results, {})


def test_certified_accuracy_of_the_page() -> None:
    row = sample()["certificates"][0]
    assert [certified(row, radius) for radius in (0.0, 0.6, 0.61, 1.3)] == [0.5, 0.5, 0.25, 0.0]
    assert radii_of([row]) == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("key", ["verdict", "robustness", "certificates", "epsilon"])
def test_what_is_missing_is_named(key: str) -> None:
    results = copy.deepcopy(sample())
    del results[key]
    with pytest.raises(StoreError, match=key):
        validate_defend(results)


def test_the_page_names_the_radius_that_was_attacked() -> None:
    results = {**sample(), "epsilon": 0.16}  # the nearest one of the levels is 0.2
    records, few = np.full((2, 1, 8, 8), 0.5, dtype="float32"), np.array([0, 1])
    tensors = {"original": records, "adversarial": records, "labels": few, "predicted": few}
    page = render_defend(results, tensors)
    assert "L∞ ε = 0.2" in page
    assert "Of the strongest attack at ε = 0.2, on the records" in page
    assert "0.16" not in page


def test_given_weights_were_not_trained_here() -> None:
    assert "trained on 1\u202f438 records" in facts(sample())[0]
    given = {**sample(), "config": {"weights": "model.safetensors"}}
    assert facts(given)[0] == "records of 1 × 8 × 8"
