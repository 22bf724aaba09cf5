"""What every selector of pixels must hold: inherit it, make yours, let pytest collect it."""

from __future__ import annotations

import json
import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from sfumato.errors import SfumatoError
from sfumato.nn.mode import sampling
from sfumato.testing.checks import expect
from sfumato.testing.contract import Contract

PICTURES = 3


class SelectorContract(Contract):
    """Abstract: the tests of a selector of pixels, one of your own included.

    A selector is an heir of `sfumato.pixels.selectors.Selector`. pytest collects such a class if
    its name starts with `Test`; without pytest, `check` runs every test. Nothing is statistical.

    Example:
        >>> from sfumato.pixels.selectors import Grid
        >>> class TestMySelector(SelectorContract):
        ...     def make(self, channels, size):
        ...         return Grid(channels, size)
        >>> TestMySelector.check()
    """

    channels: ClassVar[int] = 3
    """Of the pictures it is tried on."""
    size: ClassVar[tuple[int, int]] = (12, 10)
    """Of most of the pictures it is tried on."""
    sizes: ClassVar[tuple[tuple[int, int], ...]] = ((12, 10), (7, 5), (1, 9), (1, 1))
    """Of the pictures for the tests of budgets; a picture of one pixel is among them."""

    @abstractmethod
    def make(self, channels: int, size: tuple[int, int]) -> Any:
        """The selector for pictures of so many channels and of this size."""

    def given(self) -> dict[str, Any]:
        """Arguments of the constructor that its `config()` leaves out: a predictor, a tensor."""
        return {}

    def test_exactly_k(self) -> None:
        """For every k: k pixels of every picture, in masks of 0 and 1, in both modes."""
        for size in self.sizes:
            selector, pixels = self._stirred(size), math.prod(size)
            image = self._pictures(size)
            for k in sorted({1, max(1, pixels // 7), max(1, pixels // 2), pixels}):
                for mode in self._modes():
                    with sampling(selector, mode):
                        check_mask(selector(image, k), image, k)

    def test_nothing_is_bought_twice(self) -> None:
        """In rounds until nothing is left, also where pictures of a batch had other rounds."""
        selector, image = self._stirred(self.size), self._pictures(self.size)
        pixels = math.prod(self.size)
        bought = torch.zeros(len(image), 1, *self.size)
        bought[0, 0, 0] = 1  # a whole row of the first picture
        first = int(bought.sum())
        bought[1].view(-1)[: first + 4] = 1
        for k in (5, pixels // 3, pixels - first - 4 - 5 - pixels // 3):
            mask = selector(image, k, bought, self._labels(selector))
            check_mask(mask, image, k)
            expect(not bool((mask * bought).any()), "it buys what was bought before")
            bought = bought + mask.detach()
        expect(bool((bought[1] == 1).all()), "with k = all pixels that are left, some are left")

    def test_no_pictures(self) -> None:
        """Of an empty batch an empty mask."""
        selector = self.make(self.channels, self.size)
        image = self._pictures(self.size)[:0]
        expect(selector(image, 3).shape == (0, 1, *self.size), "an empty batch changes its shape")
        expect(selector.query(image, None, 3).shape == (0, 3, 2), "query needs a picture")

    def test_query_says_where(self) -> None:
        """Row and column of what the mask has, k of them."""
        selector, image = self._stirred(self.size), self._pictures(self.size)
        torch.manual_seed(5)
        mask = selector(image, 7)
        torch.manual_seed(5)
        places = selector.query(image, None, 7)
        found = torch.zeros_like(mask)
        for picture, (row, column) in ((b, p) for b in range(len(image)) for p in places[b]):
            found[picture, 0, row, column] = 1
        expect(places.shape == (len(image), 7, 2), f"query gives {list(places.shape)}")
        expect(torch.equal(found, mask.detach()), "query and mask are of other pixels")

    def test_one_seed_gives_one_mask(self) -> None:
        """All that it draws comes from torch's global generator; inputs are left as they are."""
        selector, image = self._stirred(self.size), self._pictures(self.size)
        before, found = image.clone(), []
        for _ in range(2):
            torch.manual_seed(3)
            found.append(selector(image, 9).detach())
        expect(torch.equal(*found), "two calls under one seed differ")
        expect(torch.equal(before, image), "it changes the pictures that it was given")

    def test_the_mean_is_one_mask(self) -> None:
        """In the mode "mean" nothing is drawn, but for a selector that always draws."""
        selector, image = self._stirred(self.size), self._pictures(self.size)
        state = torch.get_rng_state()
        with sampling(selector, "mean"):
            one, other = selector(image, 9), selector(image, 9)
        if selector.always_draws:
            expect(not torch.equal(one, other), "it says that it always draws, and does not")
        else:
            expect(torch.equal(one, other), 'two calls differ in the mode "mean"')
            expect(torch.equal(state, torch.get_rng_state()), 'it draws in the mode "mean"')

    def test_whether_it_looks_at_the_picture(self) -> None:
        """`conditional` says whether other pictures get other masks."""
        selector, image = self._stirred(self.size), self._pictures(self.size)
        if selector.always_draws:
            return
        image = image * torch.tensor([0.2, 1.0, 5.0])[:, None, None, None]
        with sampling(selector, "mean"):
            masks = [selector(image, k) for k in (2, 6, 30)]
        same = all(bool((mask == mask[:1]).all()) for mask in masks)
        expect(
            same is not selector.conditional,
            f"conditional is {selector.conditional}, and masks of other pictures are "
            f"{'the same' if same else 'different'}",
        )

    def test_labels_not_paid_for_change_nothing(self) -> None:
        """Labels where nothing was bought, or where a measurement failed, are never looked at."""
        selector, image = self._stirred(self.size), self._pictures(self.size)
        bought = torch.zeros(len(image), 1, *self.size)
        bought[:, :, ::3, ::3] = 1
        shown = bought.clone()
        shown[:, :, 0] = 0
        one, found = self._labels(selector), []
        other = torch.where(shown > 0, one, torch.where(torch.rand_like(one) > 0.5, 1e3, torch.nan))
        for labels in (one, other):
            torch.manual_seed(7)
            found.append(selector(image, 9, bought, labels, shown).detach())
        expect(torch.equal(*found), "its choice depends on labels that were not bought")

    def test_the_gradient_reaches_the_weights(self) -> None:
        """Of a differentiable selector, and of no other; values stay exactly 0 and 1."""
        selector, image = self._stirred(self.size), self._pictures(self.size)
        mask = selector(image, 9)
        expect(
            mask.requires_grad is selector.differentiable,
            f"differentiable is {selector.differentiable}, and its mask has "
            f"{'a' if mask.requires_grad else 'no'} gradient",
        )
        if not selector.differentiable:
            return
        (mask * torch.randn_like(mask)).sum().backward()
        gradients = [p.grad for p in selector.parameters() if p.grad is not None]
        expect(any(bool((g != 0).any()) for g in gradients), "no weight gets a gradient")
        expect(all(bool(g.isfinite().all()) for g in gradients), "a gradient is not finite")

    def test_it_is_built_again(self) -> None:
        """From its `config()`, which JSON can hold, and its state: then it chooses the same."""
        selector, image = self._stirred(self.size), self._pictures(self.size)
        arguments = json.loads(json.dumps(selector.config()))
        arguments["size"] = tuple(arguments["size"])
        again = type(selector)(**arguments, **self.given())
        again.load_state_dict(selector.state_dict())
        found = []
        for each in (selector, again):
            torch.manual_seed(11)
            found.append(each(image, 9).detach())
        expect(torch.equal(*found), "built again it chooses other pixels")
        expect(again.config() == selector.config(), "built again it has another config")

    def test_it_says_what_is_wrong(self) -> None:
        """A `SfumatoError` for wrong shapes, NaN, and budgets that cannot be."""
        selector, image = self.make(self.channels, self.size), self._pictures(self.size)
        bought = torch.zeros(len(image), 1, *self.size)
        pixels = math.prod(self.size)
        full, wrong = torch.ones_like(bought), torch.zeros(len(image), 2, *self.size)
        cases: dict[str, Callable[[], Any]] = {
            "another size": lambda: selector(image[:, :, :-1], 3),
            "other channels": lambda: selector(image[:, :1].repeat(1, 7, 1, 1), 3),
            "no batch": lambda: selector(image[0], 3),
            "whole numbers": lambda: selector((image * 255).to(torch.uint8), 3),
            "NaN": lambda: selector(image * math.nan, 3),
            "k = 0": lambda: selector(image, 0),
            "k = 2.5": lambda: selector(image, 2.5),
            "k above all pixels": lambda: selector(image, pixels + 1),
            "nothing left": lambda: selector(image, 1, full),
            "bought of another shape": lambda: selector(image, 3, wrong),
            "bought that is not 0 and 1": lambda: selector(image, 3, bought + 0.5),
            "shown that is not 0 and 1": lambda: selector(image, 3, bought, None, bought - 1),
            "no channels": lambda: self.make(0, self.size),
            "no pixels": lambda: self.make(self.channels, (0, 4)),
        }
        for what, run in cases.items():
            raises(what, run)

    def _modes(self) -> tuple[Any, ...]:
        return "sample", "mean"

    def _stirred(self, size: tuple[int, int]) -> Any:
        """The selector with weights as if it had learned something."""
        selector = self.make(self.channels, size)
        with torch.no_grad():
            for weight in selector.parameters():
                weight.add_(torch.randn_like(weight) * 0.3)
        return selector

    def _pictures(self, size: tuple[int, int]) -> Tensor:
        return torch.rand(PICTURES, self.channels, *size)

    def _labels(self, selector: Any) -> Tensor:
        return torch.rand(PICTURES, max(selector.values, 1), *selector.size)


def check_mask(mask: Tensor, image: Tensor, k: int) -> None:
    """Raise an `AssertionError` unless it is a mask of 0 and 1 with k ones per picture."""
    wanted = (len(image), 1, *image.shape[2:])
    expect(tuple(mask.shape) == wanted, f"a mask is {list(mask.shape)} instead of {list(wanted)}")
    expect(mask.dtype == image.dtype, f"a mask is {mask.dtype} for pictures of {image.dtype}")
    expect(bool(((mask == 0) | (mask == 1)).all()), "a mask holds other values than 0 and 1")
    counts = mask.detach().flatten(1).sum(1).tolist()
    expect(all(count == k for count in counts), f"with k = {k} pictures get {counts} pixels")


def raises(what: str, run: Callable[[], Any]) -> None:
    """Raise an `AssertionError` unless `run` ends in a `SfumatoError` that says something."""
    try:
        run()
    except SfumatoError as error:
        expect(bool(str(error)), f"the error for {what} says nothing")
    else:
        expect(False, f"it runs with {what}")
