"""What each kind of selector does beside the contract."""

from __future__ import annotations

import pytest
import torch

import sfumato as sf
from sfumato.errors import DataError, SettingError
from sfumato.pixels.selectors import (
    Edges,
    ExpectedError,
    FixedMask,
    Grid,
    JitteredGrid,
    Probabilistic,
    QueryNetwork,
    QuerySettings,
    Seen,
    Stratified,
    TopK,
    Uncertainty,
    sobel,
    spaced,
)
from sfumato.pixels.selectors.network import Scores


def test_the_grid_is_regular() -> None:
    places = Grid(1, (48, 64)).query(torch.rand(1, 1, 48, 64), None, k=48)[0]
    assert places[:, 0].unique().tolist() == list(range(4, 48, 8))
    assert places[:, 1].unique().tolist() == list(range(4, 64, 8))


def test_a_second_grid_fills_the_gaps() -> None:
    selector, image = Grid(1, (32, 32)), torch.rand(1, 1, 32, 32)
    first = selector(image, k=16)
    both = first + selector(image, 16, first)
    once = selector(image, k=32)

    def nearest(mask: torch.Tensor) -> torch.Tensor:
        places = mask.nonzero()[:, 2:].double()
        return torch.cdist(places, places).fill_diagonal_(99).amin(1)

    assert both.sum() == 32
    assert nearest(both).min() >= 0.5 * nearest(once).min()


def test_a_jittered_grid_has_one_pixel_per_cell() -> None:
    mask = JitteredGrid(1, (8, 8))(torch.rand(1, 1, 8, 8), k=4)
    assert mask.unfold(2, 4, 4).unfold(3, 4, 4).sum((4, 5)).flatten().tolist() == [1.0] * 4


def test_a_jittered_grid_may_leave_a_share_of_its_cells_alone() -> None:
    """15,000 cells, five standard deviations: a false alarm in two million runs."""
    torch.manual_seed(0)
    image = torch.rand(1000, 1, 9, 15)
    grid = Grid(1, (9, 15))(image, 15)
    assert torch.equal(JitteredGrid(1, (9, 15), share=0.0)(image, 15), grid)
    mask = JitteredGrid(1, (9, 15), share=0.3)(image, 15)
    assert mask.unfold(2, 3, 3).unfold(3, 3, 3).sum((4, 5)).unique().tolist() == [1.0]
    kept = float((mask * grid).sum()) / 15000
    wanted = 0.7 + 0.3 / 9
    assert abs(kept - wanted) < 5 * (wanted * (1 - wanted) / 15000) ** 0.5
    bought = JitteredGrid(1, (9, 15))(image, 4)
    few = torch.cat([bought[:500], torch.zeros_like(bought[500:])])  # two partitions
    again = JitteredGrid(1, (9, 15), share=0.5)(image, 5, few)
    assert again.sum((1, 2, 3)).unique().tolist() == [5.0] and not bool((again * few).any())
    with pytest.raises(SettingError, match="share"):
        JitteredGrid(1, (9, 15), share=1.5)


def test_sobel_of_a_slope() -> None:
    slope = torch.arange(6.0).expand(1, 2, 5, 6)  # two channels that rise by 1 per column
    assert torch.allclose(sobel(slope)[0, 0, :, 1:-1], torch.tensor(2.0).sqrt())


def test_edges_are_preferred_and_a_flat_picture_is_not_an_error() -> None:
    image = torch.zeros(1, 1, 16, 16)
    image[..., 8:] = 1.0
    places = Edges(1, (16, 16), stratified=False).query(image.expand(200, -1, -1, -1), None, 4)
    share = ((places[..., 1] == 7) | (places[..., 1] == 8)).double().mean()
    # Weights of 8.1 on 32 pixels and of 0.1 on 224: 92 %; 12 standard errors below it.
    assert share > 0.8
    flat = Edges(1, (16, 16))
    with sf.sampling(flat, "mean"):
        assert torch.equal(flat(0 * image, 16), Grid(1, (16, 16))(0 * image, 16))


@pytest.mark.parametrize(
    "selector",
    [
        Stratified(3, (20, 24)),
        Stratified(3, (20, 24), values=2),
        Stratified(3, (20, 24), conditional=False),
        FixedMask(3, (20, 24)),
    ],
    ids=["conditional", "with labels", "for all", "fixed"],
)
def test_an_untrained_stratified_selector_is_the_grid(selector) -> None:
    image = torch.rand(2, 3, 20, 24)
    with sf.sampling(selector, "mean"):
        first = selector(image, k=13)
        second = selector(image, 13, first)
    grid = Grid(3, (20, 24))
    assert torch.equal(first, grid(image, k=13))
    assert torch.equal(second.detach(), grid(image, 13, first.detach()))


def test_the_centre_holds_draws_together() -> None:
    image = torch.rand(64, 1, 24, 24)
    grid = Grid(1, (24, 24))(image, k=9)

    def share(centre: float) -> float:
        mask = Stratified(1, (24, 24), centre=centre)(image, k=9)
        return float((mask * grid).detach().sum() / 576)

    assert share(1e4) == 1.0
    assert share(0.0) < share(16.0) < 1.0


def test_a_learned_mask_learns_where_to_look() -> None:
    """Two rewarded pixels are found, with cells and without."""
    for selector in (
        FixedMask(1, (6, 6), centre=0.0),
        FixedMask(1, (6, 6), stratified=False),
        Stratified(1, (6, 6), centre=0.0, network={"width": 4, "levels": 0}),
        TopK(1, (6, 6), network={"width": 4, "levels": 0}),
    ):
        wanted = torch.zeros(1, 1, 6, 6)
        wanted[..., 0, 5] = wanted[..., 5, 1] = 1.0
        image = wanted.expand(8, -1, -1, -1)
        optimizer = torch.optim.Adam(selector.parameters(), lr=0.1)
        for _ in range(50):
            optimizer.zero_grad()
            (-(selector(image, k=2) * wanted).sum((1, 2, 3)).mean()).backward()
            optimizer.step()
        with sf.sampling(selector, "mean"):
            assert torch.equal(selector(image[:1], k=2), wanted)


def test_the_network_does_not_see_where_the_border_is() -> None:
    """With replicated borders a flat picture has flat logits; with zeros it has not."""
    for settings, flat in ((QuerySettings(), True), (QuerySettings(padding="zeros"), False)):
        network = QueryNetwork(3, 0, settings, flat=False)
        image, plane = torch.full((1, 3, 21, 30), 0.5), torch.zeros(1, 1, 21, 30)
        logits = network(Seen(image, plane, None, plane)).detach()
        assert logits.shape == plane.shape
        assert (float(logits.max() - logits.min()) < 1e-5) is flat


def test_a_transposed_network_draws_a_chequered_pattern() -> None:
    network = QueryNetwork(1, 0, QuerySettings(upsampling="transposed"), flat=False)
    plane = torch.zeros(1, 1, 16, 16)
    logits = network(Seen(plane + 0.5, plane, None, plane)).detach()[0, 0, 4:12, 4:12]
    assert float((logits[:, 1:] - logits[:, :-1]).abs().mean()) > 1e-3


def test_the_network_sees_the_labels_and_what_failed() -> None:
    selector = Stratified(1, (8, 8), values=1)
    assert isinstance(selector.scores, QueryNetwork)
    torch.nn.init.normal_(selector.scores.head.weight)
    image, bought = torch.rand(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    bought[..., 2, 2] = 1
    none = torch.zeros_like(bought)
    one = selector.scores(selector.look(image, bought, none + 1))
    other = selector.scores(selector.look(image, bought, none + 2))
    failed = selector.scores(selector.look(image, bought, none + 1, none))
    assert not torch.equal(one, other)
    assert not torch.equal(one, failed)


def test_nan_in_a_bought_label() -> None:
    selector = Stratified(1, (4, 4), values=1)
    bought = torch.zeros(1, 1, 4, 4)
    bought[..., 0, 0] = 1
    values = torch.full((1, 1, 4, 4), torch.nan)
    with pytest.raises(DataError, match="bought label is NaN"):
        selector(torch.rand(1, 1, 4, 4), 2, bought, values)
    selector(torch.rand(1, 1, 4, 4), 2, bought, values, 0 * bought)
    with pytest.raises(DataError, match="looks at labels"):
        selector(torch.rand(1, 1, 4, 4), 2, bought, values[:, :, 1:])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Stratified(3, (4, 4), temperature=0.0), "temperature"),
        (lambda: FixedMask(3, (4, 4), centre=-1.0), "centre"),
        (lambda: Stratified(3, (4, 4), network={"depth": 3}), "no setting depth"),
        (lambda: TopK(3, (4, 4), network={"padding": "mirror"}), "padding is replicate or zeros"),
        (lambda: QuerySettings(width=0), "width of at least 1"),
        (lambda: Edges(3, (4, 4), floor=0.0), "floor"),
        (lambda: ExpectedError(3, (4, 4), share=1.1), "share"),
        (lambda: ExpectedError(3, (4, 4), spacing=0), "spacing"),
    ],
    ids=["temperature", "centre", "unknown", "padding", "width", "floor", "share", "spacing"],
)
def test_settings_that_cannot_be(make, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        make()


@pytest.mark.parametrize(("share", "gridded"), [(0.0, 0), (0.5, 8), (0.7, 11), (1.0, 16)])
def test_expected_error_buys_a_grid_and_then_what_its_network_foresees(share, gridded) -> None:
    image = torch.rand(3, 1, 20, 24)
    selector = ExpectedError(1, (20, 24), share=share, spacing=2)
    selector.scores = Bright()
    mask = selector(image, 16)
    grid = Grid(1, (20, 24))(image, gridded) if gridded else torch.zeros_like(mask)
    assert torch.equal(selector.grid(torch.zeros_like(mask), 16), grid)
    assert bool((mask >= grid).all()) and mask.sum((1, 2, 3)).tolist() == [16.0] * 3
    if gridded < 16:
        assert torch.equal(mask - grid, spaced(image, grid, 16 - gridded, 2))
    again = selector(image, 16, mask)  # the partition is completed, and nothing is bought twice
    assert not bool((again * mask).any()) and again.sum() == 48.0


class Bright(Scores):
    """Foresees error where the picture is bright."""

    def forward(self, seen: Seen) -> torch.Tensor:
        return seen.image


def test_only_the_operating_system_draws_when_asked() -> None:
    for selector in (JitteredGrid(1, (8, 8)), Stratified(1, (8, 8)), TopK(1, (8, 8))):
        state = torch.get_rng_state()
        with sf.sampling(selector, source="os"):
            selector(torch.ones(1, 1, 8, 8), k=4)
        assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_exactly_k_in_half_precision(dtype: torch.dtype) -> None:
    image = torch.rand(2, 1, 40, 40).to(dtype)

    def predictor(image: torch.Tensor, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return torch.cat([image, values], 1).float()

    unsure = Uncertainty(1, (40, 40), values=1, predictor=predictor, start=0.5)
    for selector in (unsure, JitteredGrid(1, (40, 40), share=0.5)):
        bought = selector(image, 602)
        assert (bought > 0).flatten(1).sum(1).tolist() == [602, 602]
        assert selector.query(image, bought, 301).shape == (2, 301, 2)
    drawn = Probabilistic(1, (40, 40)).to(dtype).buys(image)
    assert 0 < float(drawn.float().mean()) < 1


def test_cells_serve_a_training_after_inference() -> None:
    selector = Stratified(1, (11, 13))
    image = torch.rand(2, 1, 11, 13)
    with torch.inference_mode():
        selector(image, 7)
    (selector(image, 7) * image).sum().backward()
