"""Scores made comparable between layers, and the neurons that go first."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sfumato.compression import Entropy, Importance, Scene, toy_scene
from sfumato.compression.importance import Normalise, ranked
from sfumato.compression.importance.ranking import least, normalised
from sfumato.compression.wiring import Costs
from sfumato.errors import DataError, SettingError


class Given(Importance):
    """Scores that are said."""

    def __init__(
        self, *scores: list[float], normalise: Normalise = "l2", per_cost: bool = False
    ) -> None:
        self.scores, self.normalise, self.per_cost = scores, normalise, per_cost

    def score(self, scene: Scene) -> dict[str, Tensor]:
        return dict(zip(scene.groups, map(torch.tensor, self.scores), strict=True))


def rank(importance: Importance, kind: str = "dense") -> dict[str, Tensor]:
    scene = toy_scene(kind)
    return ranked(
        importance, scene, Costs(scene.model, scene.inputs).by_neuron(scene.model, scene.wiring)
    )


ONE, TWO = [3.0, 4.0, 0.0, 0.0, 0.0], [30.0, 40.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("by", "wanted"),
    [
        ("l2", [0.6, 0.8, 0.0, 0.0]),
        ("mean", [30 / 17.5, 40 / 17.5, 0.0, 0.0]),
        ("rank", [0.75, 1.0, 0.25, 0.5]),
        ("none", TWO),
    ],
)
def test_normalised(by: Normalise, wanted: list[float]) -> None:
    torch.testing.assert_close(normalised(torch.tensor(TWO), by), torch.tensor(wanted))


def test_what_a_scale_of_a_layer_does_is_undone() -> None:
    found = rank(Given(ONE, TWO))
    torch.testing.assert_close(found["0"][:2], found["2"][:2])
    assert bool((normalised(torch.zeros(3), "l2") == 0).all())


def test_raw_entropy_never_touches_the_first_layer() -> None:
    """Spec 4's measure without normalising: the layer of the largest noise loses all it has."""
    scene = toy_scene("dense")
    with torch.no_grad():  # σ of the first layer is a tenth of that of the second
        for name, raw in (("0", -2.25), ("2", 0.54)):
            layer = scene.model.get_submodule(name)
            half = layer.get_parameter("bias").numel() // 2
            layer.get_parameter("bias")[half:] = raw
    costs = Costs(scene.model, scene.inputs).by_neuron(scene.model, scene.wiring)
    raw = least(ranked(Entropy(normalise="none"), scene, costs), 3)
    assert raw == {"2": raw["2"]} and len(raw["2"]) == 3
    for by in ("l2", "mean", "rank"):
        fair = least(ranked(Entropy(normalise=by), scene, costs), 4)
        assert set(fair) == {"0", "2"}


def test_per_cost_divides_by_the_share_of_multiplications() -> None:
    # dense 6-5-4-3: a neuron of the first layer goes with 6 + 4, of the second with 5 + 3
    total = 5 * 10 + 4 * 8
    found = rank(Given([1.0] * 5, [1.0] * 4, normalise="none", per_cost=True))
    assert found["0"].tolist() == pytest.approx([total / 10] * 5)
    assert found["2"].tolist() == pytest.approx([total / 8] * 4)


def test_what_cannot_be_ranked() -> None:
    for importance, error, reason in (
        (Given([1.0] * 4, TWO), SettingError, "gave scores"),
        (Given([1.0, torch.nan, 0, 0, 0], TWO), DataError, "neuron of '0' is NaN or infinite"),
        (Given([-1.0] * 5, TWO, per_cost=True), SettingError, "none may be negative"),
        (Given(ONE, TWO, normalise="max"), SettingError, "'max'"),  # type: ignore[arg-type]
    ):
        with pytest.raises(error, match=reason):
            rank(importance)


def test_the_least_go_first_and_the_last_of_a_layer_stays() -> None:
    scores = {"a": torch.tensor([0.5, 0.1]), "b": torch.tensor([0.2, 0.9, 0.3])}
    assert least(scores) == {"a": [1]}
    assert least(scores, 2) == {"a": [1], "b": [0]}
    assert least(scores, 9) == {"a": [1], "b": [0, 2]}
    assert least({"a": torch.tensor([0.5]), "b": torch.tensor([0.9, 0.9])}) == {"b": [0]}
