"""Seeds: equal parts, equal seeds; and the caller's random state stays as it was."""

from __future__ import annotations

import torch

from sfumato.train import derive, generator, seeded


def test_equal_parts_give_equal_seeds() -> None:
    assert derive(3, "fit", 0.05) == derive(3, "fit", 0.05)


def test_other_parts_give_other_seeds() -> None:
    parts = [(0,), (1,), ("0", 1), (1, "0"), (12, 3), (1, 23), (0, "fit"), (0, "clean"), ("fit",)]
    assert len({derive(*p) for p in parts}) == len(parts)


def test_a_seed_is_one_that_torch_takes() -> None:
    assert all(0 <= derive(number) < 2**63 for number in range(100))


def test_seeded_restores_the_callers_generator() -> None:
    torch.manual_seed(1)
    torch.rand(3)
    before = torch.get_rng_state()
    with seeded(5, "purpose"):
        first = torch.rand(4)
        with seeded(6):
            torch.rand(4)
        rest = torch.rand(4)
    assert torch.equal(torch.get_rng_state(), before)
    with seeded(5, "purpose"):
        again = torch.rand(8)
    assert torch.equal(torch.cat([first, rest]), again)


def test_seeded_restores_after_an_error() -> None:
    before = torch.get_rng_state()
    try:
        with seeded(5):
            torch.rand(4)
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert torch.equal(torch.get_rng_state(), before)


def test_a_generator_leaves_the_global_one_alone() -> None:
    before = torch.get_rng_state()
    one, same = (torch.randperm(50, generator=generator(2, "order")) for _ in range(2))
    other = torch.randperm(50, generator=generator(3, "order"))
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)
