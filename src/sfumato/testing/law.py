"""What every noise law must hold: inherit it, name your law, and let pytest collect it."""

from __future__ import annotations

import copy
import json
import math
import warnings
from typing import ClassVar

import torch
from torch import Tensor

from sfumato.errors import SettingError
from sfumato.noise import NoiseLaw, Params, source
from sfumato.testing.checks import entropy, expect, finite, moments, same, validated
from sfumato.testing.compare import sign_limit, sign_products
from sfumato.testing.contract import Contract

DTYPES = {
    torch.float64: torch.float64,
    torch.float32: torch.float32,
    torch.bfloat16: torch.float32,
    torch.float16: torch.float32,
}
EXTREMES = (-1e4, -100.0, -1.0, 0.0, 1.0, 100.0, 1e4)


class LawContract(Contract):
    """Abstract: the tests of a noise law. A class that inherits them names the law.

    pytest collects such a class if its name starts with `Test`; without pytest, `check` runs every
    test. The statistical tests compare `draws` records with as many from `distribution`. Seeds are
    fixed; over seeds, a right law fails one of these tests with a probability of `false_alarm`.

    Example:
        >>> from sfumato.noise import Gaussian
        >>> class TestMyLaw(LawContract):
        ...     law = Gaussian(min_scale=0.1)
        ...     draws = 1_000
        >>> TestMyLaw.check()
    """

    law: ClassVar[NoiseLaw]
    shape: ClassVar[tuple[int, ...]] = (4, 3)
    """The shape of a small batch of samples, records first."""
    smooth: ClassVar[bool] = True
    """Whether the gradient is the derivative of the sample; not so for a straight-through one."""
    proportional: ClassVar[bool] = True
    """Whether the scale is the standard deviation times one number, whatever the parameters."""
    draws: ClassVar[int] = 100_000

    def test_the_law_is_a_value(self) -> None:
        """Equal laws have one hash and one text; `config`, as JSON, makes an equal law."""
        law = self.law
        for other in (copy.deepcopy(law), type(law)(**json.loads(json.dumps(law.config())))):
            expect(other == law, f"{other} made from {law} is not equal to it")
            expect(hash(other) == hash(law), f"{other} and {law} are equal, their hashes are not")
            expect(repr(other) == repr(law), f"equal laws show as {other} and {law}")
        expect(type(law).__name__ in repr(law), f"repr does not name the law: {law!r}")

    def test_parameters_are_valid(self) -> None:
        """`constrain` gives what the distribution allows, and samples lie in its support."""
        for dtype, wide in DTYPES.items():
            params = self._params(dtype)
            for block in params:
                expect(block.dtype == wide, f"{dtype} raw values became {block.dtype}, not {wide}")
                expect(block.shape == self.shape, f"a parameter has the shape {list(block.shape)}")
            distribution = validated(self.law.distribution(params))
            sample = self.arrange(self.law.transform(params, self._eps(dtype)))
            try:
                finite("log_prob of a sample", distribution.log_prob(sample))
            except ValueError as error:
                raise AssertionError(f"a sample is outside of the support: {error}") from error

    def test_extreme_raw_values(self) -> None:
        """Values and gradients stay finite at raw values of ±100 and ±10,000.

        Float16 is left out: a right gradient can be beyond what it holds.
        """
        for dtype in (torch.float64, torch.float32, torch.bfloat16):
            values = torch.tensor(EXTREMES, dtype=dtype)
            shape = (self.law.num_params, 200, *self.shape[1:])
            raw = values[torch.randint(len(values), shape)].requires_grad_()
            params = self.law.constrain(raw.unbind(0))
            for name, value in {
                "parameter": torch.cat([block.flatten() for block in params]),
                "sample": self.law.transform(params, self.law.draw(shape[1:], dtype=dtype)),
                "mean": self.law.mean(params),
                "log_scale": self.law.log_scale(params),
                "entropy": entropy(self.law, params),
            }.items():
                if value is None:
                    continue
                finite(f"{name} from {dtype}", value)
                if value.requires_grad:
                    slope = torch.autograd.grad(value.sum(), raw, retain_graph=True)[0]
                    finite(f"gradient of the {name} from {dtype}", slope)

    def test_a_draw_has_the_right_form(self) -> None:
        """ε has `eps_shape`, float32 at least and no gradient, and lies where it should."""
        wanted = self.law.eps_shape(self.shape)
        expect(wanted[0] == self.shape[0], f"eps_shape {wanted} moves the batch axis")
        devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
        for device in devices:
            for dtype, wide in DTYPES.items():
                eps = self.law.draw(self.shape, dtype=dtype, device=device)
                expect(eps.shape == wanted, f"ε is {tuple(eps.shape)}, eps_shape says {wanted}")
                expect(eps.dtype == wide, f"ε for {dtype} is {eps.dtype}, not {wide}")
                expect(eps.device.type == device, f"ε for {device} is on {eps.device}")
                expect(not eps.requires_grad, "ε has a gradient: it must hold no parameter")
                finite("ε", eps)

    def test_a_draw_is_fresh_and_seeded(self) -> None:
        """Two draws differ; `torch.manual_seed` repeats them."""
        torch.manual_seed(3)
        eps = self._eps()
        expect(not torch.equal(eps, self._eps()), "two calls of draw give the same ε")
        torch.manual_seed(3)
        expect(torch.equal(eps, self._eps()), "torch.manual_seed does not repeat a draw")

    def test_the_system_source(self) -> None:
        """`source` is honoured, or refused with a `SettingError`: never left out."""
        before = torch.get_rng_state()
        try:
            eps = self.law.draw(self.shape, source=source("os"))
        except SettingError:
            return
        finite("ε of the 'os' source", eps)
        untouched = torch.equal(torch.get_rng_state(), before)
        expect(untouched, "draw takes from torch's generator where the 'os' source is asked for")

    def test_transform_is_deterministic(self) -> None:
        """The same parameters and ε give the same sample; no generator is touched."""
        params, eps = self._params(), self._eps()
        before = torch.get_rng_state()
        first, second = (self.law.transform(params, eps) for _ in range(2))
        expect(torch.equal(first, second), "transform gives two samples for one ε")
        expect(torch.equal(torch.get_rng_state(), before), "transform draws from the generator")
        expect(first.shape == self.shape, f"a sample of {self.shape} is {tuple(first.shape)}")

    def test_gradients(self) -> None:
        """By finite differences if the law is `smooth`; finite and not all 0 in any case."""
        raw = self._raw(torch.float64).requires_grad_()
        eps = self._eps(torch.float64)

        def sample(raw: Tensor) -> Tensor:
            return self.law.transform(self.law.constrain(raw.unbind(0)), eps)

        weight = torch.randn(self.shape, dtype=torch.float64)
        slope = torch.autograd.grad((weight * sample(raw)).sum(), raw)[0]
        finite("gradient of a sample", slope)
        dead = [number for number, own in enumerate(slope) if not own.any()]
        expect(not dead, f"no gradient reaches the parameters {dead}")
        if self.smooth:
            try:
                torch.autograd.gradcheck(sample, (raw,))
            except RuntimeError as error:
                raise AssertionError(f"the gradient of transform is wrong: {error}") from error

    def test_a_location_moves_the_sample(self) -> None:
        """If the law is `located`, what is added to the first parameter is added to the sample."""
        (first, *rest), eps = self._params(torch.float64), self._eps(torch.float64)
        if not self.law.located:
            return
        for name, of in {
            "sample": lambda p: self.law.transform(p, eps),
            "mean": self.law.mean,
        }.items():
            same(f"{name}, moved by 2", of((first + 2, *rest)), of((first, *rest)) + 2)

    def test_records_do_not_mix(self) -> None:
        """A record's sample depends on its own parameters and its own ε only."""
        params, eps = self._params(), self._eps()
        together = self.law.transform(params, eps)
        for b in range(self.shape[0]):
            alone = self.law.transform(tuple(p[b : b + 1] for p in params), eps[b : b + 1])
            same(f"record {b} without the others", alone[0], together[b])

    def test_mean_scale_and_entropy(self) -> None:
        """They are those of `distribution`; the scale up to one factor if it is `proportional`."""
        params = self._params(torch.float64)
        known, law = self.law.distribution(params), self.law
        mean, log_scale = self.arrange(law.mean(params)), self.arrange(law.log_scale(params))
        shape = known.batch_shape + known.event_shape
        for name, value in {"mean": mean, "log_scale": log_scale}.items():
            expect(value.shape == shape, f"{name} has the shape {tuple(value.shape)}, not {shape}")
        if (both := moments(known)) is not None:
            exists = both[0].isfinite()
            same("mean", mean[exists], both[0][exists])
            factor = (log_scale - both[1].log())[both[1].isfinite()]
            if self.proportional:
                same("log_scale less log(stddev)", factor, factor[:1].expand_as(factor))
        if (nats := entropy(known)) is not None:
            # Some of torch's own go through float32.
            torch.testing.assert_close(law.entropy(params), nats, rtol=1e-6, atol=1e-6)

    def test_samples_follow_the_distribution(self) -> None:
        """Kolmogorov-Smirnov for each element of a record."""
        self._follows(*self._two_samples())

    def test_sample_mean(self) -> None:
        """The mean, by the central limit theorem, of a law that has a variance."""
        sample, _ = self._two_samples()
        if (both := moments(self.law.distribution(self._row()))) is None:
            return
        mean, spread = (value.flatten() for value in both)
        z = (sample.mean(0) - mean) / (spread / math.sqrt(self.draws))
        z = z[spread.isfinite() & (spread > 0)].abs().double()
        tail = torch.special.erfc(z / math.sqrt(2)) * len(z)
        expect(bool((tail > self.false_alarm).all()), f"means are off: by z = {z.tolist()}")

    def test_every_element_has_noise_of_its_own(self) -> None:
        """Signs of elements and of neighbouring records go together as `distribution` says."""
        sample, known = self._two_samples()
        centre = self.arrange(self.law.mean(self._row())).flatten()
        apart = (sign_products(sample, centre) - sign_products(known, centre)).abs().amax()
        limit = sign_limit(self.draws, len(centre), self.false_alarm)
        expect(bool(apart < limit), f"noise is shared: products of signs are off by {apart:.3g}")

    def test_draw_from_is_draw_and_transform(self) -> None:
        """`draw_from` gives the sample and the gradient of the plain way, from one seed.

        The blocks are stacked on the last axis, as a linear layer does, or on one in the middle, as
        a convolution does, counted from either end.
        """
        for shape, axis in ((self.shape, -1), ((*self.shape, 2), -2), ((*self.shape, 2), 1)):
            torch.manual_seed(1)
            raw = torch.randn(self.law.num_params, *shape, requires_grad=True)
            torch.manual_seed(2)
            found = self.law.draw_from(torch.cat(raw.unbind(0), axis), axis)
            torch.manual_seed(2)
            wanted = self.law.transform(self.law.constrain(raw.unbind(0)), self.law.draw(shape))
            same(f"draw_from on axis {axis} of {len(shape)}", found, wanted)
            weight = torch.randn(shape)
            slopes = [torch.autograd.grad((weight * h).sum(), raw)[0] for h in (found, wanted)]
            same("gradient of draw_from", *slopes)

    def test_compiled(self) -> None:
        """draw, constrain and transform trace into one graph, with fresh noise at every call."""
        law, shape = self.law, self.shape

        def sample(raw: Tensor, eps: Tensor | None) -> Tensor:
            params = law.constrain(raw.unbind(0))
            return law.transform(params, law.draw(shape) if eps is None else eps)

        raw, eps = self._raw(torch.float32), self._eps()
        torch.compiler.reset()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own, which the law cannot help
            graph = torch.compile(sample, fullgraph=True, backend="aot_eager")
            same("transform, compiled", graph(raw, eps), sample(raw, eps))
            first, second = (torch.stack([graph(raw, None) for _ in range(5)]) for _ in range(2))
        expect(not torch.equal(first, second), "compiled, every call has the same noise")

    def test_vmap(self) -> None:
        """`torch.vmap` over records gives the same samples, and draws for each record."""
        law, raw, eps = self.law, self._raw(torch.float32).transpose(0, 1), self._eps()

        def sample(raw: Tensor, eps: Tensor) -> Tensor:
            return law.transform(law.constrain(raw.unbind(0)), eps)

        same("transform under vmap", torch.vmap(sample)(raw, eps), sample(raw.transpose(0, 1), eps))
        draw = torch.vmap(lambda row: law.draw(row.shape), randomness="different")
        drawn = draw(torch.zeros(50, *self.shape[1:]))
        expect(bool((drawn != drawn[:1]).any()), "under vmap every record has the same noise")

    def _raw(self, dtype: torch.dtype) -> Tensor:
        return torch.randn(self.law.num_params, *self.shape, dtype=torch.float64).to(dtype)

    def _params(self, dtype: torch.dtype = torch.float32) -> Params:
        return self.law.constrain(self._raw(dtype).unbind(0))

    def _eps(self, dtype: torch.dtype = torch.float32) -> Tensor:
        return self.law.draw(self.shape, dtype=dtype)

    def _row(self) -> Params:
        """The parameters of one record, the same in every call."""
        torch.manual_seed(4)
        return tuple(block[:1] for block in self._params())

    def _two_samples(self) -> tuple[Tensor, Tensor]:
        """`draws` records of one set of parameters, and as many from `distribution`: `[n, E]`."""
        row = self._row()
        params = tuple(block.expand(self.draws, *block.shape[1:]) for block in row)
        mine = self.arrange(self.law.transform(params, self.law.draw(params[0].shape)))
        return mine.flatten(1), self.law.distribution(row).sample((self.draws,)).flatten(1)
