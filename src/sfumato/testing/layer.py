"""What every layer must hold: inherit it, make your layer, and let pytest collect it."""

from __future__ import annotations

import copy
from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sfumato.nn.base import StochasticModule
from sfumato.nn.mode import sampling
from sfumato.testing.capability import CAPABILITIES, tensor_of
from sfumato.testing.checks import expect, finite, same
from sfumato.testing.contract import Contract


class LayerContract(Contract):
    """Abstract: the tests of a layer that draws. A class that inherits them makes the layer.

    pytest collects such a class if its name starts with `Test`; without pytest, `check` runs every
    test. The statistical test compares `draws` calls with as many draws from `distribution`. The
    seed is fixed; over seeds, a right layer fails it with a probability of `false_alarm`.

    Example:
        >>> from sfumato.nn import StochasticLinear
        >>> class TestMyLayer(LayerContract):
        ...     def make(self):
        ...         return StochasticLinear(3, 2)
        ...
        ...     def arguments(self):
        ...         return (torch.randn(4, 3),)
        >>> TestMyLayer.check()
    """

    unable: ClassVar[dict[str, str]] = {}
    """What torch cannot do to this layer ("compile", "export", "vmap", "bf16", "state dict"), with
    the reason; the contract then holds that it raises."""

    shares_weights: ClassVar[bool] = False
    """Whether a call draws weights, which the records of a batch share (Bayesian layers): then no
    record has noise of its own, nor a distribution."""
    draws: ClassVar[int] = 2_000

    @abstractmethod
    def make(self) -> nn.Module:
        """A fresh layer in float32."""

    @abstractmethod
    def arguments(self) -> tuple[Any, ...]:
        """The arguments of a call: at least two records, all different, and a selection if any.

        No mixture: its `distribution` is that of the class drawn in the call.
        """

    def test_noise_is_fresh_and_seeded(self) -> None:
        """Two calls differ, in `eval()` too; one seed gives one sample."""
        layer, arguments = self.make().eval(), self.arguments()
        torch.manual_seed(1)
        first, second = (tensor_of(layer(*arguments)) for _ in range(2))
        torch.manual_seed(1)
        again = tensor_of(layer(*arguments))
        expect(bool((first != second).any()), "two calls give the same sample")
        same("a call under the same seed", again, first)

    def test_the_mean_is_not_random(self) -> None:
        """`sf.sampling(layer, "mean")` gives one value, of the sample's shape."""
        layer, arguments = self.make(), self.arguments()
        with sampling(layer, "mean"):
            first, second = (tensor_of(layer(*arguments)) for _ in range(2))
        same("the mean", first, second)
        expect(first.shape == tensor_of(layer(*arguments)).shape, "the mean has another shape")

    def test_samples_follow_the_distribution(self) -> None:
        """Of a `StochasticModule`: by Kolmogorov-Smirnov for each element, n = `draws`, seed 0.

        A right layer fails with a probability of at most `false_alarm`, whatever its law. With
        2,000 draws and some ten elements, a scale that is off by a factor of 1.7 is found, and a
        mean that is off by 0.3 of the scale.
        """
        layer, arguments = self.make().eval(), self.arguments()
        if self.shares_weights or not isinstance(layer, StochasticModule):
            return
        with torch.no_grad():
            calls = [self.arrange(tensor_of(layer(*arguments))) for _ in range(self.draws)]
            known = layer.distribution(*arguments).sample((self.draws,))
        self._follows(torch.stack(calls).flatten(1), known.flatten(1))

    def test_equal_records_have_noise_of_their_own(self) -> None:
        """Records that are equal get different samples in at least one of 20 calls.

        Two counts can be equal by chance: those of two fair coins in all 20 calls with 1e-6.
        """
        if self.shares_weights:
            return
        layer, arguments = self.make().eval(), self.arguments()
        equal = [
            value[:1].expand_as(value) if isinstance(value, Tensor) and value.dim() else value
            for value in arguments
        ]
        with torch.no_grad():
            calls = torch.stack([tensor_of(layer(*equal)) for _ in range(20)], 1)
        records = calls.flatten(1)
        distinct = len(records.unique(dim=0))
        expect(distinct == len(records), "equal records in one batch share their noise")

    def test_gradients_reach_every_parameter(self) -> None:
        """A finite gradient for each parameter; two calls before one backward pass add up."""
        layer, arguments = self.make(), self.arguments()
        slopes: list[dict[str, Tensor]] = []
        for seeds in ((1,), (2,), (1, 2)):
            layer.zero_grad(set_to_none=True)
            losses = []
            for seed in seeds:
                torch.manual_seed(seed)
                losses.append(tensor_of(layer(*arguments)).square().sum())
            torch.stack(losses).sum().backward()
            slopes.append({n: _grad(n, p) for n, p in layer.named_parameters()})
        for name, together in slopes[2].items():
            apart = slopes[0][name] + slopes[1][name]
            close = torch.allclose(together, apart, rtol=1e-3, atol=1e-4)
            expect(close, f"two calls before one backward give {name} the slope of other noise")

    def test_copies_and_dtypes(self) -> None:
        """A deep copy after a call works; so does the layer in double precision."""
        layer, arguments = self.make(), self.arguments()
        tensor_of(layer(*arguments)).sum().backward()
        twin = copy.deepcopy(layer)
        with sampling(layer, "mean"), sampling(twin, "mean"):
            same("a copy", tensor_of(twin(*arguments)), tensor_of(layer(*arguments)))
        wide = tuple(
            value.double() if isinstance(value, Tensor) and value.is_floating_point() else value
            for value in arguments
        )
        out = tensor_of(layer.double()(*wide))
        expect(out.dtype == torch.float64, f"float64 went in and {out.dtype} came out")
        finite("output in float64", out)

    def test_compile(self) -> None:
        """One graph that stays random."""
        self._capability("compile")

    def test_export(self) -> None:
        """An exported program that stays random."""
        self._capability("export")

    def test_vmap(self) -> None:
        """Noise of its own in every row."""
        self._capability("vmap")

    def test_half_precision(self) -> None:
        """A finite sample and finite gradients in bfloat16 and float16."""
        self._capability("bf16")

    def test_state_dict(self) -> None:
        """No tensor twice, and back again through safetensors."""
        self._capability("state dict")

    def _capability(self, name: str) -> None:
        layer, arguments = self.make(), self.arguments()
        if name not in self.unable:
            CAPABILITIES[name](layer, arguments)
            return
        try:
            CAPABILITIES[name](layer, arguments)
        except Exception:  # noqa: BLE001 - whatever torch raises is what was announced
            return
        raise AssertionError(f"{name} works, though `unable` says: {self.unable[name]}")


def _grad(name: str, parameter: nn.Parameter) -> Tensor:
    if parameter.grad is None:
        raise AssertionError(f"no gradient reaches {name}")
    finite(f"gradient of {name}", parameter.grad)
    return parameter.grad.clone()
