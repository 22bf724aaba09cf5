"""Sources: what they give, what they refuse."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sfumato.errors import SettingError
from sfumato.noise import Gaussian, source
from sfumato.noise.source import SYSTEM, TORCH, Source

SOURCES = [TORCH, SYSTEM]
WIDTHS = {torch.float32: 2**24, torch.float64: 2**52}


@pytest.mark.parametrize("each", SOURCES, ids=lambda s: s.name)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (5,), (2, 3, 4)])
def test_shape_and_dtype(each: Source, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    for values in (each.normal(shape, dtype, None), each.symmetric(shape, dtype, "cpu")):
        assert values.shape == shape
        assert values.dtype == dtype
        assert values.isfinite().all()


@pytest.mark.parametrize("each", SOURCES, ids=lambda s: s.name)
def test_symmetric_lies_on_the_odd_multiples_of_half_a_step(each: Source) -> None:
    # Odd multiples: 0, -1 and 1 cannot occur, and -u is as likely as u.
    values = each.symmetric((50_000,), torch.float32, None).double() * 2**24
    assert (values == values.round()).all()
    assert (values.remainder(2) == 1).all()
    assert values.abs().max() < 2**24


@pytest.mark.parametrize("dtype", WIDTHS)
def test_the_extremes_of_the_system_source_stay_inside(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    for byte, sign in ((b"\x00", -1), (b"\xff", 1)):
        monkeypatch.setattr("os.urandom", lambda count, byte=byte: byte * count)
        value = SYSTEM.symmetric((1,), dtype, None)
        assert 1 - 2 / WIDTHS[dtype] <= sign * value.item() < 1
        assert SYSTEM.normal((1,), dtype, None).isfinite().all()


@pytest.mark.parametrize("uniform", [0.0, 1 - 2.0**-24])
def test_the_extremes_of_the_torch_source_stay_inside(
    uniform: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "rand", lambda shape, **_: torch.full(shape, uniform))
    assert TORCH.symmetric((1,), torch.float32, None).abs().item() == 1 - 2.0**-24


def test_torch_follows_the_seed_and_the_system_does_not() -> None:
    def twice(each: Source) -> bool:
        torch.manual_seed(3)
        first = each.normal((64,), torch.float32, None)
        torch.manual_seed(3)
        return torch.equal(first, each.normal((64,), torch.float32, None))

    assert twice(TORCH)
    assert not twice(SYSTEM)


def test_the_system_source_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    SYSTEM.normal((8,), torch.float32, None)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(("name", "found"), [("torch", TORCH), ("os", SYSTEM), (SYSTEM, SYSTEM)])
def test_source_by_name(name: str, found: Source) -> None:
    assert source(name) is found  # type: ignore[arg-type]


def test_unknown_source() -> None:
    with pytest.raises(SettingError, match=r"unknown source of randomness 'dice': use 'torch'"):
        source("dice")  # type: ignore[arg-type]


def test_the_system_source_is_never_frozen_into_a_graph() -> None:
    class Noisy(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + Gaussian().draw(x.shape, source=SYSTEM)

    with pytest.raises(SettingError, match="cannot be traced into a graph"):
        torch.export.export(Noisy(), (torch.zeros(3),))


def test_rows_of_a_compiled_vmap_differ() -> None:
    """Compiled alone and under vmap, the uniform draw takes two ways."""

    def draw(x: Tensor) -> Tensor:
        return x + TORCH.symmetric(x.shape, torch.float32, None)

    torch.compiler.reset()
    one = torch.compile(draw, fullgraph=True, backend="aot_eager")
    rows = torch.compile(
        torch.vmap(draw, randomness="different"), fullgraph=True, backend="aot_eager"
    )
    torch.manual_seed(0)
    zeros = torch.zeros(3, 50)
    for drawn in (one(zeros), rows(zeros), one(zeros)):
        assert len(drawn.unique()) == 150 and drawn.abs().max() < 1
