from __future__ import annotations

import pytest

from sfumato.cli.common.parser import merged, nested, spelled_out
from sfumato.cli.common.settings import override, worker_count
from sfumato.cli.demo import DemoOptions
from sfumato.errors import SettingError
from sfumato.obfuscation import Plan


@pytest.mark.parametrize(
    ("words", "spelled"),
    [
        (["--full"], ["--full=true"]),
        (["--full", "--limit", "3"], ["--full=true", "--limit", "3"]),
        (["--full", "false"], ["--full", "false"]),
        (["--full=false"], ["--full=false"]),
        (["--fractions", "0.05", "0.1"], ["--fractions=[0.05,0.1]"]),
        (["--fractions", "0.05,0.1"], ["--fractions=[0.05,0.1]"]),
        (["--fractions", "[0.05, 0.1]", "--full"], ["--fractions=[0.05, 0.1]", "--full=true"]),
        (["--fractions=[0.05]"], ["--fractions=[0.05]"]),
        (["--fractions"], ["--fractions"]),
        (["--data", "--full"], ["--data", "--full=true"]),
    ],
)
def test_flags_and_lists(words: list[str], spelled: list[str]) -> None:
    assert spelled_out(words, DemoOptions) == spelled


def test_nested_settings_are_taken_out_and_typed() -> None:
    words = "--knob 2 --plan.learner.epochs 4 --plan.learner.lr=1e-3 --plan.sigmas [0.5,1] --full"
    kept, changes = nested(words.split(), DemoOptions)
    assert kept == ["--knob", "2", "--full"]
    assert changes == {"plan": {"learner": {"epochs": 4, "lr": 0.001}, "sigmas": [0.5, 1]}}


@pytest.mark.parametrize(
    ("text", "value"), [("word", "word"), ("true", True), ("-1", -1), ("{x: 1}", {"x": 1})]
)
def test_texts_say_what_they_are(text: str, value: object) -> None:
    assert nested(["--plan.a", text], DemoOptions)[1] == {"plan": {"a": value}}


def test_a_nested_setting_needs_a_value() -> None:
    for words in (["--plan.knob"], ["--plan.knob", "--full"]):
        with pytest.raises(SettingError, match=r"--plan\.knob needs a value"):
            nested(words, DemoOptions)


def test_nested_settings_go_into_those_of_a_file() -> None:
    file = {"knob": 1, "plan": {"learner": {"epochs": 4, "lr": 0.1}}}
    assert merged(file, {"plan": {"learner": {"lr": 0.2}, "sigma": 2}}) == {
        "knob": 1,
        "plan": {"learner": {"epochs": 4, "lr": 0.2}, "sigma": 2},
    }


def test_override_goes_into_nested_settings() -> None:
    plan = override(Plan(), {"learner": {"epochs": 3, "lr": 1}, "bound": [0, 1], "target": 0.9})
    assert (plan.learner.epochs, plan.learner.lr, plan.learner.batch_size) == (3, 1.0, 128)
    assert (plan.bound, plan.target) == ((0, 1), 0.9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lerner": {}}, r"--plan\.lerner is unknown; there are fractions, .*learner"),
        ({"learner": {"speed": 1}}, r"--plan\.learner\.speed is unknown; there are epochs"),
        ({"learner": 3}, r"--plan\.learner has fields of its own"),
        ({"learner": {"epochs": "many"}}, r"--plan\.learner\.epochs must be like 10, not 'many'"),
        ({"fractions": [0.5, 0.1]}, r"fractions must grow"),
    ],
)
def test_override_refuses(changes: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        override(Plan(), changes)


def test_workers() -> None:
    assert worker_count(3) == 3
    assert worker_count(0) >= 1
