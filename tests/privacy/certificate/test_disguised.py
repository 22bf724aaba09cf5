"""Nothing is certified for what it only looks like: subclasses, hooks, mixed batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from torch import Tensor, nn
from torch.nn.utils import parametrize

import sfumato as sf
from sfumato.obfuscation import bottleneck, isotropic
from sfumato.privacy import certify


class Skipping(nn.Sequential):
    """Leaves its last module out."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        for module in list(self)[:-1]:
            x = module(x)
        return x


class Unclipped(sf.nn.ClipNorm):  # type: ignore[misc]
    """Does not clip."""

    def forward(self, x: Tensor) -> Tensor:
        return x


class Doubled(sf.nn.AdditiveNoise):  # type: ignore[misc]
    """Passes the record on beside its release."""

    def forward(self, x: Tensor, eps: Tensor | None = None) -> Tensor:
        return super().forward(x, eps) + 100 * x


class Wide(nn.Module):
    """A parametrization."""

    def forward(self, weight: Tensor) -> Tensor:
        return 100 * weight


class Subtracting(nn.Module):
    """Regular layers that look at a whole batch."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0)


def quiet() -> sf.nn.AdditiveNoise:
    layer = isotropic((4,), 9.0).layer
    assert isinstance(layer, sf.nn.AdditiveNoise)
    return layer


def clipping(**changes: Any) -> sf.nn.ClipNorm:
    clip = sf.nn.ClipNorm(1.0)
    for name, value in changes.items():
        if name == "forward":
            clip.forward = value
        else:
            getattr(clip, name)(value)
    return clip


def shouting() -> sf.Obfuscator:
    """The layer is the right one, with a hook that multiplies what goes out."""
    made = sf.Obfuscator(quiet(), pre=sf.nn.ClipNorm(1.0))
    made.layer.register_forward_hook(lambda _, given, out: out + 100 * given[0])
    return made


def hooked_around() -> sf.Obfuscator:
    made = sf.Obfuscator(quiet(), pre=sf.nn.ClipNorm(1.0))
    made.register_forward_hook(lambda _, given, out: out + 100 * given[0])
    return made


def parametrized() -> sf.Obfuscator:
    layer = quiet()
    parametrize.register_parametrization(layer, "weight", Wide())
    return sf.Obfuscator(layer, pre=sf.nn.ClipNorm(1.0))


def behind(*parts: nn.Module) -> Callable[[], sf.Obfuscator]:
    return lambda: sf.Obfuscator(
        quiet(), pre=parts[0] if len(parts) == 1 else nn.Sequential(*parts)
    )


def subclassed() -> sf.Obfuscator:
    return sf.Obfuscator(Doubled((4,)), pre=sf.nn.ClipNorm(1.0))


DISGUISED: dict[str, tuple[Callable[[], sf.Obfuscator], str]] = {
    "a sequence that skips": (behind(Skipping(nn.Identity(), sf.nn.ClipNorm(1.0))), "come last"),
    "one inside": (behind(nn.Identity(), Skipping(sf.nn.ClipNorm(1.0))), "come last"),
    "a clip that does not": (behind(nn.Identity(), Unclipped(1.0)), "not sf.nn.ClipNorm itself"),
    "a hook on the clip": (
        behind(clipping(register_forward_hook=lambda _, given, out: given[0])),
        "ClipNorm before the noise has a hook",
    ),
    "a hook before it": (
        behind(clipping(register_forward_pre_hook=lambda _, given: given)),
        "has a hook",
    ),
    "a forward of its own": (behind(clipping(forward=lambda x: x)), "has a forward of its own"),
    "a subclass of the layer": (subclassed, "scale of a Doubled depends on the record"),
    "a hook on the layer": (shouting, "AdditiveNoise has a hook"),
    "a hook on the obfuscator": (hooked_around, "Obfuscator has a hook"),
    "a parametrization": (parametrized, "ParametrizedAdditiveNoise depends"),
    "a batch as one record": (
        behind(nn.Flatten(0), sf.nn.ClipNorm(1.0)), "mixes the records of a batch",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DISGUISED)
def test_nothing_is_taken_for_what_it_only_looks_like(name: str) -> None:
    made, reason = DISGUISED[name]
    found = certify(made())
    assert not found.certified and found.epsilon is None and reason in found.reason
    assert certify(sf.Obfuscator(quiet(), pre=sf.nn.ClipNorm(1.0))).certified


def test_a_hook_on_the_sequence_around_the_clip() -> None:
    pre = nn.Sequential(sf.nn.ClipNorm(1.0))
    pre.register_forward_hook(lambda _, given, out: given[0])
    assert (
        "Sequential before the noise has a hook"
        in certify(sf.Obfuscator(quiet(), None, pre)).reason
    )


def test_a_bound_needs_no_clip() -> None:
    layer = sf.nn.AdditiveNoise((4,), bound=(0.0, 1.0))
    layer.load_state_dict(quiet().state_dict())
    found = certify(sf.Obfuscator(layer, pre=Skipping(nn.Identity(), sf.nn.ClipNorm(1.0))))
    assert found.certified and "clipped" not in found.premise


def test_records_that_are_treated_together_are_named() -> None:
    words = "each record is treated by itself in Subtracting, which was not checked"
    mixed = certify(sf.Obfuscator(quiet(), pre=nn.Sequential(Subtracting(), sf.nn.ClipNorm(1.0))))
    assert words in mixed.premise
    encoder = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4, 4))
    plain = certify(bottleneck((1, 3, 4), 4, 9.0, encoder=encoder))
    assert "by itself" not in plain.premise
    encoder[1].register_forward_hook(lambda _, given, out: out - out.mean(0))
    assert "by itself in ReLU" in certify(bottleneck((1, 3, 4), 4, 9.0, encoder=encoder)).premise
