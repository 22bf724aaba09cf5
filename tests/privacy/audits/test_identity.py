from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sfumato.errors import SettingError
from sfumato.files import read_json
from sfumato.obfuscation.shredder import Shredder
from sfumato.privacy.attacks import AttributeAttack, LinearAttack, MembershipAttack
from sfumato.privacy.audits import run as run_file
from sfumato.privacy.audits.identity import checksum
from sfumato.privacy.audits.suite import described
from tests.privacy.audited import Counting, judge, records, run

SETTINGS: dict[str, Any] = {"releases": (1,), "seeds": (0,), "control": False}


def other_judge() -> nn.Module:
    model = judge()
    with torch.no_grad():
        next(model.parameters()).add_(1e-3)
    return model


def shifted(x: Tensor, labels: Tensor, by: float = 0.0) -> Tensor:
    return x.flatten(1).mean(1) + by


def member(part: int) -> MembershipAttack:
    return MembershipAttack(records(20), records(20, seed=part), records(20, seed=9))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (judge(), other_judge()),
        (nn.Dropout(0.1), nn.Dropout(0.2)),
        (torch.zeros(2), torch.ones(2)),
        (torch.zeros(2), torch.zeros(2).double()),
        (records(9), records(9, seed=1)),
        (member(1), member(2)),
        (AttributeAttack((torch.tensor([0, 1]), torch.tensor([0]))),
         AttributeAttack((torch.tensor([1, 0]), torch.tensor([0])))),
        (partial(shifted, by=1.0), partial(shifted, by=2.0)),
        (lambda x: x + 1, lambda x: x + 2),
        ({"a": 1}, {"a": 2}),
        (1, True),
    ],
)  # fmt: skip
def test_other_content_has_another_checksum(one: Any, other: Any) -> None:
    assert checksum(one) != checksum(other)


def test_equal_content_has_an_equal_checksum() -> None:
    assert checksum(judge()) == checksum(judge())
    assert checksum(member(1)) == checksum(member(1))
    assert checksum({"b": 1, "a": 2}) == checksum({"a": 2, "b": 1})
    assert described(member(1)) == described(member(1)) != described(member(2))


def test_a_loop_has_an_end() -> None:
    held: list[Any] = []
    held.append(held)
    assert checksum(held) == checksum(held)


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"model": other_judge()}, "model"),
        ({"model": None}, "model"),
        ({"more": [AttributeAttack(partial(shifted, by=1.0), title="x")]}, "attacks"),
        ({"data": (records(200), records(100, seed=2))}, "data"),
    ],
)
def test_a_folder_of_something_else_is_refused(
    tmp_path: Path, changed: dict[str, Any], what: str
) -> None:
    run(folder=tmp_path, **SETTINGS, more=[AttributeAttack(shifted, title="x")])
    changed = {"more": [AttributeAttack(shifted, title="x")], **changed}
    with pytest.raises(SettingError, match=rf"holds another audit \({what} differ\)"):
        run(folder=tmp_path, **SETTINGS, **changed)


def test_another_version_of_the_package_is_another_audit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(folder=tmp_path, **SETTINGS)
    monkeypatch.setattr("sfumato.privacy.audits.job.versions", lambda: {"sfumato": "9"})
    with pytest.raises(SettingError, match=r"another audit \(versions differ\)"):
        run(folder=tmp_path, **SETTINGS)


@pytest.mark.parametrize("left", ["", "{"])
def test_without_its_head_a_folder_keeps_nothing_of_another_audit(
    tmp_path: Path, left: str
) -> None:
    log = str(tmp_path / "log")
    folder = tmp_path / "audit"
    common = {**SETTINGS, "attacks": [Counting(log)], "folder": folder}
    first = run(**common)
    (folder / run_file.HEAD).write_text(left)
    assert run(**common).leak == first.leak
    assert len(Path(log).read_text().splitlines()) == 1  # the same audit: nothing to do
    (folder / run_file.HEAD).unlink()
    other = run(**{**common, "data": (records(200), records(100, seed=2))})
    assert len(Path(log).read_text().splitlines()) == 2
    assert other.leak != first.leak
    assert "model" in read_json(folder / run_file.HEAD)


def test_a_mechanism_without_a_law_is_told_by_its_state() -> None:
    """Shredder states no law; its releases hang together."""
    tensors = torch.randn(3, 1, 4, 4)
    common: dict[str, Any] = {**SETTINGS, "attacks": [LinearAttack()]}
    one, same, other = (
        run(obfuscator=Shredder(tensors + shift), **common).obfuscator for shift in (0, 0, 1)
    )
    assert one == same != other
