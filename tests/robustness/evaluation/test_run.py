"""The evaluation from end to end, at small scale."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import sfumato as sf
from sfumato.errors import DataError, SettingError, StoreError
from sfumato.robustness import (
    ExpectedModel,
    RobustnessReport,
    draws_speed,
    evaluate,
)
from sfumato.robustness.attacks import APGD, FGSM, Attack, MarginPGD, Square, Transfer
from tests.robustness.evaluation.nets import Blind, Coin, Times, digits, masking, noisy, plain

NONE = "no sign of gradient masking"
FIRST = MarginPGD(epsilon=1.0, steps=5, restarts=1)


@dataclass(frozen=True, kw_only=True)
class Idle(Attack):
    """Does nothing."""

    number: int = 0

    @property
    def name(self) -> str:
        return "idle"

    def perturb(self, model: ExpectedModel, x: Tensor, labels: Tensor) -> Tensor:
        return x


@pytest.fixture(scope="module")
def report() -> RobustnessReport:
    x, labels = digits()
    return evaluate(plain(), x, labels, epsilon=[0.2, 0.1], attacks="quick", undefended=plain())


def test_a_plain_network_falls_and_hides_nothing(report: RobustnessReport) -> None:
    assert report.verdict == NONE and report.reasons == ()
    assert report.clean["sampled"].mean > 0.9
    assert report.worst[0.2].mean < 0.1 < report.worst[0.1].mean
    assert report.unbounded["worst"].mean == 0
    assert report.zero_gradient == {"cross_entropy": 0.0, "margin": 0.0}


def test_the_worst_is_in_front(report: RobustnessReport) -> None:
    assert [level.epsilon for level in report.levels] == [0.1, 0.2]
    for level in report.levels:
        names = [row.name for row in level.attacks]
        assert names[:3] == ["fgsm-cross-entropy", "pgd-cross-entropy", "margin-pgd"]
        assert names[3:] == ["transfer", "square"]
        shares = [row.accuracy["sampled"].mean for row in level.attacks]
        assert level.worst["sampled"].mean <= min(shares) + 1e-6
        assert level.strongest == names[shares.index(min(shares))]
        assert sum(level.records) / 60 == pytest.approx(level.worst["sampled"].mean)
        assert all(0 < row.distance <= level.epsilon + 1e-5 for row in level.attacks)
        assert all("draws" in row.budget for row in level.attacks)


def test_it_goes_through_json(report: RobustnessReport, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    report.save(path)
    assert RobustnessReport.load(path).to_json() == report.to_json()
    assert RobustnessReport.load(path).worst == report.worst
    assert str(RobustnessReport.load(path)) == str(report)
    assert "linf ε = 0.1: worst" in str(report) and f"verdict: {NONE}" in str(report)
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "levels": [{}]}))
    with pytest.raises(StoreError, match="does not say what a report should"):
        RobustnessReport.load(path)
    path.write_text(json.dumps({"schema": "another"}))
    with pytest.raises(StoreError, match="not a robustness report"):
        RobustnessReport.load(path)


def test_blown_up_logits_are_found_out() -> None:
    x, labels = digits()
    found = evaluate(Times(plain(), 1e4), x, labels, epsilon=0.2, attacks="quick")
    assert found.verdict == "gradient masking"
    assert any("its gradient is saturated" in reason for reason in found.reasons)
    assert found.zero_gradient["cross_entropy"] > 0.8
    assert found.worst[0.2].mean < 0.1  # and the suite is not fooled


def test_16_nats_are_found_out() -> None:
    x, labels = digits(120)
    found = evaluate(masking(), x, labels, epsilon=[0.1, 0.2], attacks="quick")
    assert found.verdict == "gradient masking"
    rows = {(row.name, row.target): row for row in found.levels[1].attacks}
    fooled = rows["fgsm-cross-entropy", "sampled"].accuracy["sampled"].mean
    assert fooled > 0.2 and found.worst[0.2].mean < 0.1


def test_a_stochastic_network_that_hides_nothing() -> None:
    x, labels = digits()
    found = evaluate(noisy(), x, labels, epsilon=[0.1, 0.2], attacks="quick", prediction="averaged")
    assert found.verdict == NONE
    assert set(found.clean) == {"sampled", "averaged", "mean"}
    assert {row.target for row in found.levels[0].attacks} == {"sampled", "averaged", "mean"}
    assert sorted(found.convergence) == [1, 4, 8, 16]
    assert found.worst == {e.epsilon: e.worst["averaged"] for e in found.levels}


def test_the_choice_of_the_worst_does_not_flatter_it() -> None:
    """Ten attacks that do nothing, on coins: the worst of each record is no worse than chance.

    The lowest of eleven shares of 32 draws would lie 1.6 standard deviations too low, at 0.58. The
    figure has a standard error of 0.46 / √(300 · 32) = 0.005; a false alarm at 6 of them has 2e-9.
    """
    x, labels = torch.rand(300, 4), torch.zeros(300, dtype=torch.long)
    suite = [Idle(epsilon=1.0, number=number) for number in range(10)]
    found = evaluate(Coin(0.5), x, labels, epsilon=0.1, attacks=suite)
    assert len(found.levels[0].attacks) == 10
    assert abs(found.worst[0.1].mean - 0.6915) < 6 * 0.005


def test_noise_that_no_attack_can_use_is_no_masking() -> None:
    x, labels = digits()
    dropout = nn.Sequential(nn.Dropout(0.05), plain()).eval()
    dropout[0].train()
    found = evaluate(dropout, x, labels, epsilon=0.2, attacks=[APGD(epsilon=1.0, draws=4)])
    assert found.stochastic and found.verdict == NONE
    assert any("no mean path" in note for note in found.notes)


def test_zero_gradients_of_many_records() -> None:
    x, labels = digits(360)
    x, labels = x.repeat(6, 1, 1, 1), labels.repeat(6)
    found = evaluate(Times(plain(), 1e4), x, labels, epsilon=0.2, attacks=[FIRST])
    assert found.verdict == "gradient masking" and "exactly zero" in found.reasons[-1]


def test_a_model_without_gradient_meets_square_alone() -> None:
    x, labels = digits()
    suite = [FGSM(epsilon=1.0), FIRST, Square(epsilon=1.0, queries=150)]
    found = evaluate(Blind(plain()), x, labels, epsilon=0.2, attacks=suite)
    skipped = {row.name: row.skipped for row in found.levels[0].attacks}
    assert "use Square" in skipped["margin-pgd"] and skipped["square"] == ""
    assert found.worst[0.2].mean < 0.5 and found.levels[0].strongest == "square"
    assert found.verdict == "gradient masking" and "gives no gradient" in found.reasons[0]
    assert found.unbounded == {} and found.zero_gradient == {} and found.convergence == {}
    assert json.loads(json.dumps(found.to_json()))["levels"][0]["strongest"] == "square"


def test_it_resumes(tmp_path: Path) -> None:
    x, labels = digits()
    settings: dict[str, Any] = {
        "epsilon": [0.1, 0.2],
        "attacks": [FIRST, Square(epsilon=1.0, queries=20)],
        "folder": tmp_path,
    }
    told: list[dict[str, Any]] = []

    def stop(state: dict[str, Any]) -> None:
        told.append(state)
        if len(told) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(noisy(), x, labels, progress=stop, **settings)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    assert len(kept) == 2
    told.clear()
    found = evaluate(noisy(), x, labels, progress=told.append, **settings)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert told[-1]["epoch"] == told[-1]["epochs"] == len(told)
    whole = evaluate(noisy(), x, labels, **{**settings, "folder": None})
    assert found.worst == whole.worst and found.clean == whole.clean
    next(iter(kept)).write_bytes(b"damaged")
    assert evaluate(noisy(), x, labels, **settings).worst == whole.worst
    with pytest.raises(SettingError, match="another evaluation"):
        evaluate(plain(), x, labels, **settings)


def test_what_a_folder_is_of(tmp_path: Path) -> None:
    """No stale figure for another source of a transfer, another mode or an unreadable head."""
    x, labels = digits()

    def again(model: nn.Module, source: nn.Module) -> RobustnessReport:
        suite = [Transfer(epsilon=1.0, source=source, steps=3)]
        return evaluate(model, x, labels, epsilon=0.1, attacks=suite, folder=tmp_path)

    first = again(noisy(), plain())
    assert again(noisy(), plain()).worst == first.worst
    with pytest.raises(SettingError, match="attacks differ"):
        again(noisy(), masking())
    with sf.sampling(noisy(), 4), pytest.raises(SettingError, match="sampling differ"):
        again(noisy(), plain())
    (tmp_path / "evaluation.json").write_text('{"model": ')
    with pytest.raises(StoreError, match=r"evaluation\.json is missing or damaged"):
        again(plain(), plain())


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32])
def test_labels_of_other_whole_numbers(dtype: torch.dtype) -> None:
    x, labels = digits()
    given = labels.to(dtype)
    one, other = (evaluate(plain(), x, y, epsilon=0.1, attacks="quick") for y in (labels, given))
    assert one.worst == other.worst
    assert torch.equal(FIRST(plain(), x, labels), FIRST(plain(), x, given))


def test_one_seed_gives_one_report_and_leaves_the_rest_alone() -> None:
    x, labels = digits()
    model, state = noisy().train(), torch.get_rng_state()
    reports = []
    for ambient in (1, 2):
        torch.manual_seed(ambient)
        before = torch.get_rng_state()
        reports.append(evaluate(model, x, labels, epsilon=0.1, attacks=[FIRST]))
        assert torch.equal(torch.get_rng_state(), before)
    torch.set_rng_state(state)
    assert model.training and all(parameter.requires_grad for parameter in model.parameters())
    assert reports[0].worst == reports[1].worst
    model.eval()


def test_bounds_and_norm() -> None:
    x, labels = digits()
    wide = nn.Sequential(Shifted(), plain())
    one = evaluate(plain(), x, labels, epsilon=1.0, norm="l2", attacks=[l2(1.0)])
    other = evaluate(
        wide, 2 * x - 1, labels, epsilon=2.0, norm="l2", attacks=[l2(2.0)], bounds=(-1.0, 1.0)
    )
    assert abs(one.worst[1.0].mean - other.worst[2.0].mean) < 0.1
    assert one.norm == "l2" and one.worst[1.0].mean < 0.5


def l2(width: float) -> Attack:
    low = 0.0 if width == 1 else -1.0
    return MarginPGD(epsilon=1.0, norm="l2", steps=10, restarts=1, bounds=(low, 1.0))


class Shifted(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x + 1) / 2


X = torch.rand(6, 1, 8, 8)
Y = torch.arange(6)


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"x": X[:0], "labels": Y[:0]}, DataError, "no records"),
        ({"x": X * torch.nan}, DataError, "NaN"),
        ({"x": X + 1}, DataError, "outside of the bounds"),
        ({"labels": Y + 7}, DataError, "labels run from 7 to 12"),
        ({"labels": Y[:3]}, DataError, "whole-number labels"),
        ({"labels": Y > 2}, DataError, "whole-number labels"),
        ({"model": nn.Flatten(0)}, SettingError, "the model must give logits"),
        ({"model": Times(plain(), torch.nan)}, DataError, "NaN or infinity"),
        (
            {"model": nn.Linear(3, 2)},
            SettingError,
            r"the model does not take .*\[1, 8, 8\]",
        ),
        ({"undefended": nn.Linear(3, 2)}, SettingError, "the undefended model does not take"),
        ({"epsilon": 0.0}, SettingError, "epsilon must be above 0"),
        ({"epsilon": [0.1, -0.1]}, SettingError, "epsilon must be above 0"),
        ({"epsilon": []}, SettingError, "epsilon is empty"),
        ({"norm": "l1"}, SettingError, "unknown norm"),
        ({"attacks": "hard"}, SettingError, "unknown attacks 'hard'"),
        ({"draws": 0}, SettingError, "draws must be at least 1"),
        ({"rescoring": 0}, SettingError, "rescoring must be at least 1"),
        ({"prediction": "best"}, SettingError, "unknown prediction"),
        ({"model": Coin(1.0), "labels": Y * 0, "prediction": "mean"}, SettingError, "no mean path"),
        ({"bounds": (1.0, 0.0)}, SettingError, "bounds are"),
    ],
)
def test_what_cannot_be(changes: dict[str, Any], error: type[Exception], says: str) -> None:
    given = {"model": plain(), "x": X, "labels": Y, "epsilon": 0.1, "attacks": "quick", **changes}
    with pytest.raises(error, match=says):
        evaluate(given.pop("model"), given.pop("x"), given.pop("labels"), **given)


def test_the_speed_of_draws() -> None:
    x, labels = digits()
    found = draws_speed(noisy(), x[:4], labels[:4], draws=2, steps=2, repeats=1)
    assert found["ratio"] == pytest.approx(found["loop"] / found["batched"])
    assert found["batched"] > 0
