"""Drawing apart from the transform: the second is deterministic and differentiable."""

from __future__ import annotations

import pytest
import torch

from sfumato.noise import Gaussian, Laplace, LocationScale
from sfumato.noise.source import SYSTEM, TORCH, Source

laws = pytest.mark.parametrize("law", [Gaussian(0.1), Laplace(0.1)], ids=lambda law: str(law))


def raw_values(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(*shape, dtype=torch.float64), torch.randn(*shape, dtype=torch.float64)


@laws
def test_transform_element_by_element(law: LocationScale) -> None:
    params, eps = law.constrain(raw_values(2, 3)), torch.randn(2, 3, dtype=torch.float64)
    h = law.transform(params, eps)
    for index in torch.cartesian_prod(torch.arange(2), torch.arange(3)).tolist():
        location, scale, noise = (t[tuple(index)].item() for t in (*params, eps))
        assert h[tuple(index)].item() == pytest.approx(location + scale * noise, rel=1e-15)


@laws
def test_transform_is_deterministic_and_leaves_the_generator_alone(law: LocationScale) -> None:
    params, eps = law.constrain(raw_values(4)), torch.randn(4, dtype=torch.float64)
    before = torch.get_rng_state()
    assert torch.equal(law.transform(params, eps), law.transform(params, eps))
    assert torch.equal(before, torch.get_rng_state())


@laws
def test_gradcheck_through_constrain_and_transform(law: LocationScale) -> None:
    location, raw = (t.requires_grad_() for t in raw_values(3, 2))
    eps = law.draw((3, 2), dtype=torch.float64).requires_grad_()

    def sample(*inputs: torch.Tensor) -> torch.Tensor:
        return law.transform(law.constrain(inputs[:2]), inputs[2])

    assert torch.autograd.gradcheck(sample, (location, raw, eps))
    assert torch.autograd.gradgradcheck(sample, (location, raw, eps))


@laws
@pytest.mark.parametrize("source", [TORCH, SYSTEM], ids=lambda s: s.name)
@pytest.mark.parametrize(
    ("asked", "given"),
    [
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_noise_is_never_drawn_in_half_precision(
    law: LocationScale, source: Source, asked: torch.dtype, given: torch.dtype
) -> None:
    assert law.draw((2,), dtype=asked, source=source).dtype == given


@laws
def test_float64_noise_is_finer_than_float32(law: LocationScale) -> None:
    fine = law.draw((64,), dtype=torch.float64)
    assert (fine != fine.float().double()).any()


@laws
def test_a_draw_has_no_gradient_and_no_parameters(law: LocationScale) -> None:
    assert not law.draw((2,)).requires_grad
