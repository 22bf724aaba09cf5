"""`multiclass_hinge`: against loops in Python, scikit-learn, and finite differences."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from sklearn.metrics import hinge_loss
from torch import Tensor

from sfumato.errors import DataError, SettingError
from sfumato.objectives import multiclass_hinge

KINDS: list[Any] = ["one-vs-rest", "crammer-singer"]
kinds = pytest.mark.parametrize("kind", KINDS)
squares = pytest.mark.parametrize("squared", [False, True])


def reference(s: Tensor, y: Tensor, margin: float, squared: bool, kind: str) -> float:
    """The formulas of the docstring, one number at a time, in float64."""
    total = 0.0
    for scores, own in zip(s.tolist(), y.tolist(), strict=True):
        if kind == "one-vs-rest":
            missing = [margin - (v if c == own else -v) for c, v in enumerate(scores)]
        else:
            rivals = [v for c, v in enumerate(scores) if c != own]
            missing = [margin + max(rivals) - scores[own]]
        total += sum(max(m, 0.0) ** (2 if squared else 1) for m in missing)
    return total / len(s)


@kinds
@squares
@pytest.mark.parametrize("margin", [1.0, 0.3])
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_the_formulas(kind: Any, squared: bool, margin: float, classes: int) -> None:
    s, y = torch.randn(20, classes, dtype=torch.float64), torch.randint(classes, (20,))
    wanted = reference(s, y, margin, squared, kind)
    found = multiclass_hinge(s, y, margin, squared, kind)
    assert found.shape == ()
    assert found.item() == pytest.approx(wanted, rel=1e-12)


def test_crammer_singer_is_scikit_learns() -> None:
    s, y = torch.randn(50, 4, dtype=torch.float64), torch.randint(4, (50,))
    wanted = hinge_loss(y.numpy(), s.numpy(), labels=range(4))
    assert multiclass_hinge(s, y, kind="crammer-singer").item() == pytest.approx(wanted)


@kinds
@squares
def test_right_by_a_margin_costs_nothing(kind: Any, squared: bool) -> None:
    y = torch.arange(4)
    s = (4 * torch.eye(4) - 2).requires_grad_()
    loss = multiclass_hinge(s, y, 1.5, squared, kind)
    loss.backward()
    assert loss.item() == 0
    assert s.grad is not None
    assert not s.grad.any()


@kinds
@squares
def test_gradients(kind: Any, squared: bool) -> None:
    s = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    y = torch.randint(4, (6,))
    assert torch.autograd.gradcheck(lambda s: multiclass_hinge(s, y, 0.7, squared, kind), (s,))


@kinds
def test_it_is_the_mean_over_records(kind: Any) -> None:
    s, y = torch.randn(6, 4), torch.randint(4, (6,))
    each = torch.stack([multiclass_hinge(s[i : i + 1], y[i : i + 1], kind=kind) for i in range(6)])
    torch.testing.assert_close(multiclass_hinge(s, y, kind=kind), each.mean())


@kinds
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_summed_in_single(kind: Any, dtype: torch.dtype) -> None:
    s, y = torch.randn(6, 4).to(dtype), torch.randint(4, (6,))
    found = multiclass_hinge(s, y, kind=kind)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, multiclass_hinge(s.float(), y, kind=kind))


@kinds
@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8])
def test_labels_of_every_integer_dtype(kind: Any, dtype: torch.dtype) -> None:
    s, y = torch.randn(6, 4), torch.randint(4, (6,))
    assert torch.equal(
        multiclass_hinge(s, y.to(dtype), kind=kind), multiclass_hinge(s, y, kind=kind)
    )


@kinds
def test_nan_is_not_hidden(kind: Any) -> None:
    s = torch.zeros(3, 2)
    s[1, 0] = float("nan")
    assert multiclass_hinge(s, torch.zeros(3).long(), kind=kind).isnan()


@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")
@kinds
def test_transforms(kind: Any) -> None:
    s, y = torch.randn(5, 6, 4), torch.randint(4, (5, 6))
    found = torch.vmap(lambda s, y: multiclass_hinge(s, y, kind=kind))(s, y)
    wanted = torch.stack([multiclass_hinge(*each, kind=kind) for each in zip(s, y, strict=True)])
    torch.testing.assert_close(found, wanted)
    torch.compiler.reset()
    graph = torch.compile(multiclass_hinge, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(graph(s[0], y[0], kind=kind), wanted[0])
    torch.compiler.reset()


S, Y = torch.zeros(4, 3), torch.tensor([0, 1, 2, 0])
BAD: list[tuple[tuple[Any, ...], str]] = [
    ((S[0], Y), r"scores must be \[N, C\] .* not \[3\]"),
    ((S[None], Y), r"not \[1, 4, 3\]"),
    ((S[:0], Y[:0]), r"at least one record and two classes, not \[0, 3\]"),
    ((S[:, :1], Y), r"not \[4, 1\]"),
    ((S, Y[:3]), r"labels must be \[4\], not \[3\]"),
    ((S, S), r"labels must be \[4\], not \[4, 3\]"),
    ((S, Y.float()), r"labels must be integers, not torch\.float32"),
    ((S, Y.bool()), r"labels must be integers, not torch\.bool"),
    ((S, Y + 1), r"labels must lie in 0\.\.2, but 1\.\.3 occur"),
    ((S, Y - 1), r"labels must lie in 0\.\.2, but -1\.\.1 occur"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_input(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(DataError, match=message) as raised:
        multiclass_hinge(*arguments)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("margin", [0.0, -1.0, float("inf"), float("nan")])
def test_bad_margins(margin: float) -> None:
    with pytest.raises(SettingError, match="margin must be above 0 and finite"):
        multiclass_hinge(S, Y, margin)


def test_unknown_kind() -> None:
    with pytest.raises(SettingError, match="unknown kind='ovr': use 'one-vs-rest' or 'crammer-"):
        multiclass_hinge(S, Y, kind="ovr")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["one-vs-rest", "crammer-singer"])
def test_scores_are_real_numbers(kind: Any) -> None:
    labels, bad = torch.tensor([0, 1]), torch.ones(2, 3, dtype=torch.int64)
    with pytest.raises(DataError, match=r"scores must be real numbers, .*int64: use scores\.float"):
        multiclass_hinge(bad, labels, kind=kind)
    for scores, given, name in (([[1.0, 2.0]], labels, "scores"), (bad.float(), [0, 1], "labels")):
        wrong: Any = (scores, given)
        with pytest.raises(DataError, match=f"{name} must be a tensor, not list"):
            multiclass_hinge(*wrong, kind=kind)
    assert multiclass_hinge(bad.bfloat16(), labels, kind=kind).isfinite()
