"""Every selector passes the contract, and the contract finds selectors that break it."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from sfumato.pixels.selectors import (
    Edges,
    ExpectedError,
    FixedMask,
    Grid,
    GumbelMask,
    JitteredGrid,
    L1Mask,
    Oracle,
    Probabilistic,
    Random,
    Stratified,
    TopK,
    Truth,
    Uncertainty,
)
from sfumato.pixels.selectors.base import Seen, Selector
from sfumato.testing import SelectorContract

CLASSES = 4


class Predictor(nn.Module):
    """A fixed network of the signature of all predictors."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3 + CLASSES + 1, CLASSES, 3, padding=1, padding_mode="replicate")
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for weight in self.parameters():
                weight.copy_(torch.randn(weight.shape, generator=generator))

    def forward(self, image: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        return self.layer(torch.cat([image, values, mask], dim=1))


class TestRandom(SelectorContract):
    def make(self, channels: int, size: tuple[int, int]) -> Random:
        return Random(channels, size)


class TestGrid(SelectorContract):
    def make(self, channels: int, size: tuple[int, int]) -> Grid:
        return Grid(channels, size)


class TestJitteredGrid(SelectorContract):
    def make(self, channels: int, size: tuple[int, int]) -> JitteredGrid:
        return JitteredGrid(channels, size)


class TestEdges(SelectorContract):
    def make(self, channels: int, size: tuple[int, int]) -> Edges:
        return Edges(channels, size)


class TestFreeEdges(SelectorContract):
    def make(self, channels: int, size: tuple[int, int]) -> Edges:
        return Edges(channels, size, stratified=False, floor=0.5)


class TestFixedMask(SelectorContract):
    def make(self, channels: int, size: tuple[int, int]) -> FixedMask:
        return FixedMask(channels, size)


class TestFreeFixedMask(SelectorContract):
    def make(self, channels: int, size: tuple[int, int]) -> FixedMask:
        return FixedMask(channels, size, stratified=False)


class TestTopK(SelectorContract):
    def make(self, channels: int, size: tuple[int, int]) -> TopK:
        return TopK(channels, size, network={"width": 4, "padding": "zeros"})


class TestStratified(SelectorContract):
    def make(self, channels: int, size: tuple[int, int]) -> Stratified:
        return Stratified(channels, size)


class TestStratifiedWithLabels(SelectorContract):
    def make(self, channels: int, size: tuple[int, int]) -> Stratified:
        return Stratified(channels, size, values=CLASSES, network={"levels": 1})


class TestStratifiedForAll(SelectorContract):
    def make(self, channels: int, size: tuple[int, int]) -> Stratified:
        return Stratified(channels, size, conditional=False)


class TestExpectedError(SelectorContract):
    def make(self, channels: int, size: tuple[int, int]) -> ExpectedError:
        return ExpectedError(channels, size, share=0.5, network={"levels": 1})


class TestExpectedErrorWithLabels(SelectorContract):
    def make(self, channels: int, size: tuple[int, int]) -> ExpectedError:
        return ExpectedError(channels, size, values=CLASSES, share=0.3, spacing=1)


class TestProbabilistic(SelectorContract):
    def make(self, channels: int, size: tuple[int, int]) -> Probabilistic:
        return Probabilistic(channels, size, values=2)


class TestGumbelMask(SelectorContract):
    def make(self, channels: int, size: tuple[int, int]) -> GumbelMask:
        return GumbelMask(channels, size, literal=True, network={"upsampling": "transposed"})


class TestL1Mask(SelectorContract):
    def make(self, channels: int, size: tuple[int, int]) -> L1Mask:
        return L1Mask(channels, size, conditional=False)


class UncertaintyContract(SelectorContract):
    options: ClassVar[dict[str, Any]]

    def given(self) -> dict[str, Any]:
        return {"predictor": Predictor()}

    def make(self, channels: int, size: tuple[int, int]) -> Uncertainty:
        return Uncertainty(channels, size, values=CLASSES, predictor=Predictor(), **self.options)


class TestEntropy(UncertaintyContract):
    options: ClassVar[dict[str, Any]] = {}


class TestMargin(UncertaintyContract):
    options: ClassVar[dict[str, Any]] = {"measure": "margin", "start": 0.0, "spacing": 4}


class TestVariance(UncertaintyContract):
    options: ClassVar[dict[str, Any]] = {"measure": "variance", "start": 0.0, "draws": 3}

    def test_whether_it_looks_at_the_picture(self) -> None:
        """The halves of nothing are all alike: it only looks at answers."""


# What cannot hold for one that knows the truth of certain pictures is left out.
class TestOracle(SelectorContract):
    def make(self, channels: int, size: tuple[int, int]) -> Oracle:
        target = torch.randint(CLASSES, (3, *size))
        values = nn.functional.one_hot(target, CLASSES).movedim(3, 1).float()

        def loss(made: Tensor) -> Tensor:
            return nn.functional.cross_entropy(made, target, reduction="none")[:, None]

        truth = Truth(values, torch.ones(3, 1, *size, dtype=torch.bool), loss)
        return Oracle(channels, size, predictor=Predictor(), truth=truth, rounds=2, steps=3)

    def test_it_is_built_again(self) -> None:
        """It cannot: it holds a truth."""


class Peeping(Selector):
    """Looks at labels before they are bought."""

    def forward(self, image: Tensor, k: int, bought=None, values=None, shown=None) -> Tensor:
        mask = super().forward(image, k, bought, values, shown)
        if values is not None:
            mask = mask.flip(3) if bool(values[0, 0, 1, 1] > 10) else mask
        return mask

    def choose(self, seen: Seen, k: int) -> Tensor:
        return Grid(self.channels, self.size).choose(seen, k)


class Twice(Selector):
    """Buys what was bought before."""

    def choose(self, seen: Seen, k: int) -> Tensor:
        return Grid(self.channels, self.size).choose(self.look(seen.image), k)


class Near(Selector):
    """Buys about k pixels."""

    def choose(self, seen: Seen, k: int) -> Tensor:
        return (torch.rand_like(seen.bought) < k / seen.bought[0].numel()).to(seen.bought)


class Stale(Selector):
    """Says that it looks at the picture, has learned, and can be built again."""

    learned = True

    def __init__(self, channels: int, size: tuple[int, int], *, values: int = 0) -> None:
        super().__init__(channels, size, values=values)
        self.turn = int(torch.randint(2, ()))

    def choose(self, seen: Seen, k: int) -> Tensor:
        self.turn += 1
        mask = Grid(self.channels, self.size).choose(seen, k)
        return mask.flip(2) if self.turn % 2 else mask


@pytest.mark.parametrize(
    ("broken", "test", "message"),
    [
        (Peeping, "test_labels_not_paid_for_change_nothing", "not bought"),
        (Twice, "test_nothing_is_bought_twice", "bought before"),
        (Near, "test_exactly_k", "pictures get"),
        (Near, "test_the_mean_is_one_mask", "differ in the mode"),
        (Stale, "test_whether_it_looks_at_the_picture", "conditional is True"),
        (Stale, "test_one_seed_gives_one_mask", "under one seed"),
        (Stale, "test_the_gradient_reaches_the_weights", "has no gradient"),
        (Stale, "test_query_says_where", "other pixels"),
        (Stale, "test_it_is_built_again", "built again"),
    ],
)
def test_the_contract_finds(broken: type[Selector], test: str, message: str) -> None:
    class Contract(SelectorContract):
        def make(self, channels: int, size: tuple[int, int]) -> Selector:
            return broken(channels, size)

    contract = Contract()
    contract.setup_method()
    try:
        with pytest.raises(AssertionError, match=message):
            getattr(contract, test)()
    finally:
        contract.teardown_method()
