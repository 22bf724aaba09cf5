from __future__ import annotations

from typing import Any

import pytest

from sfumato.errors import StoreError
from sfumato.report import validate
from tests.report import sample


@pytest.mark.parametrize(
    "results",
    [sample.training(), sample.training("train"), sample.fitting(), sample.releasing()],
    ids=["demo", "train", "fit", "release"],
)
def test_what_commands_write_is_valid(results: dict[str, Any]) -> None:
    validate(results)


def test_training_on_releases_needs_no_rounds() -> None:
    released = {"records": 1365, "clean_records": 72, "accuracy": sample.figure(0.93)}
    validate({**sample.frame("train"), "verdict": ["It works."], "released": released})


def test_what_a_run_left_out_may_be_null() -> None:
    results = sample.training()
    results["rounds"][0]["obfuscated_test"] = None
    results["baselines"]["class_mean"] = None
    validate(results)


def without(key: str) -> Any:
    return lambda results: results.pop(key)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("rounds"), r"^results\.json: rounds is missing"),
        (without("command"), r"command is missing"),
        (lambda r: r["rounds"][1].pop("leak"), r"rounds\[1\]\.leak is missing"),
        (lambda r: r["rounds"][0]["leak"].pop("std"), r"rounds\[0\]\.leak\.std is missing"),
        (lambda r: r["rounds"][0].update(leak=0.3), r"rounds\[0\]\.leak: .*not of type 'object'"),
        (lambda r: r["ceiling"].update(n=0), r"ceiling\.n: 0 is less than the minimum"),
        (lambda r: r["rounds"][0].update(fraction=5), r"rounds\[0\]\.fraction: 5 is greater"),
        (lambda r: r.update(schema="sfumato.results/2"), r"schema: 'sfumato.results/1' was exp"),
        (lambda r: r.update(rounds=[]), r"rounds: "),
        (
            lambda r: r["baselines"]["isotropic"][2].pop("sigma"),
            r"baselines\.isotropic\[2\]\.sigma is missing",
        ),
        (
            lambda r: r["rounds"][0].update(obfuscated_test={"mean": "high", "std": 0, "n": 1}),
            r"rounds\[0\]\.obfuscated_test\.mean: 'high' is not of type 'number'",
        ),
    ],
)
def test_the_message_names_the_key(change: Any, message: str) -> None:
    results = sample.training()
    change(results)
    with pytest.raises(StoreError, match=message):
        validate(results)


def test_not_even_an_object() -> None:
    with pytest.raises(StoreError, match="the whole file"):
        validate([1, 2])
