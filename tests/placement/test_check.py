"""`sf.check` says why a layer cannot be changed, what to do, and what comes with a change."""

from __future__ import annotations

import copy
import warnings
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

import sfumato as sf
from sfumato.errors import SettingError
from sfumato.placement import Finding
from tests.placement.models import MODELS, Attending, Scaled, encoder, resnet
from tests.placement.obstacle_cases import AROUND, BAYESIAN, STOCHASTIC, Whole, quantised, scripted
from tests.placement.test_keeps import KINDS, Twice


def lines(model: nn.Module, spec: Any, **settings: Any) -> list[str]:
    return [str(finding) for finding in sf.check(model, spec, **settings)]


CASES = [("stochastic", n, *case) for n, case in STOCHASTIC.items()]
CASES += [("bayesian", n, *case) for n, case in BAYESIAN.items()]


@pytest.mark.parametrize(("kind", "name", "make", "text"), CASES)
def test_what_cannot_be_named(kind: str, name: str, make: Any, text: str) -> None:
    model = nn.Module()
    model.x = make()
    (found,) = (f for f in sf.check(model, {"x": kind}) if f.severity == "error")
    assert str(found) == f"error: x ({type(model.x).__name__}) {text}"
    with pytest.raises(SettingError) as caught:
        sf.convert(model, {"x": kind})
    assert str(found) in str(caught.value)


def test_a_layer_whose_weights_cannot_be_copied() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layer = nn.utils.weight_norm(nn.Linear(3, 3))
    assert lines(nn.Sequential(layer), {"0": "bayesian"}) == [
        "error: 0 (Linear) cannot be copied: weight is the outcome of a computation with "
        "gradients: detach it, or remove the hook that computes it (weight norm, pruning)"
    ]


class Locked(nn.Linear):
    """A layer with something that cannot be copied."""

    def __init__(self) -> None:
        super().__init__(3, 3)
        self.words = (word for word in "ab")


def test_a_model_that_cannot_be_copied() -> None:
    (line,) = lines(nn.Sequential(Locked(), nn.Linear(3, 3)), {"1": "stochastic"})
    assert line.startswith("error: the model itself (Sequential) cannot be copied: cannot pickle")


KEYS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "misspelled": ({"layr1.0": "bayesian"}, {}, "matches no layer: did you mean 'layer1.0'"),
    "far off": ({"qqqqqqq": "bayesian"}, {}, "matches no layer: see named_modules()"),
    "no stochastic twin": (
        {"*bn?": "stochastic"},
        {},
        "matches nothing that could become stochastic: the notes on what it matches say why",
    ),
    "kind": ({"fc": "noisy"}, {}, "the kind is 'stochastic' or 'bayesian', not 'noisy'"),
    "no kind": ({"fc": {"scale": 1.0}}, {}, "'stochastic' or 'bayesian', not None"),
    "value": ({"fc": 3}, {}, "or None leaves it as it is; not int"),
    "module": ({"fc": nn.Identity()}, {}, "or None leaves it as it is; not Identity"),
    "settings": (
        {"fc": {"kind": "stochastic", "prior": None}},
        {},
        "'stochastic' takes noise, bound, scale, not prior",
    ),
    "no location": (
        {"fc": "stochastic"},
        {"noise": sf.noise.Binomial(3)},
        "Binomial has no location that what was learned could become: use a law that has",
    ),
    "no location, weights": (
        {"fc": {"kind": "bayesian", "noise": sf.noise.Multinomial()}},
        {},
        "Multinomial has no location that what was learned could become",
    ),
    "class": ({"fc": "bayesian"}, {"noise": sf.noise.Gaussian}, "is a law such as"),
    "scale": ({"fc": "bayesian"}, {"scale": 1e-4}, "is not above min_scale = 0.001"),
    "infinite": ({"fc": "bayesian"}, {"scale": float("inf")}, "must be a number, not inf"),
    "text": ({"fc": "stochastic"}, {"scale": "0.1"}, "scale must be a number, not '0.1'"),
    "bound": ({"fc": "stochastic"}, {"bound": (1, 0)}, "a bound needs low < high"),
    "no bound": ({"fc": "stochastic"}, {"bound": 3}, "bound must be (low, high) or None, not 3"),
    "prior": ({"fc": "bayesian"}, {"prior": 3}, "a prior is a sfumato.nn.GaussianPrior"),
    "estimator": ({"fc": "bayesian"}, {"estimator": "best"}, "unknown estimator 'best'"),
    "local": (
        {"fc": "bayesian"},
        {"estimator": "local", "noise": sf.noise.Laplace()},
        "local reparameterization needs Gaussian weights",
    ),
}


@pytest.mark.parametrize("name", KEYS)
def test_keys_in_the_wrong(name: str) -> None:
    spec, settings, text = KEYS[name]
    model, _ = resnet()
    (found,) = (f for f in sf.check(model, spec, **settings) if f.severity == "error")
    (key,) = spec
    assert found.name == key and found.layer == ""
    assert str(found).startswith(f"error: key {key!r} ") and text in str(found)
    with pytest.raises(SettingError):
        sf.convert(model, spec, **settings)


class Shifted(sf.noise.NoiseLaw):
    """A law with a location that is not its mean."""

    num_params = 1

    def constrain(self, raw: Any) -> Any:
        return tuple(raw)

    def draw(self, shape: Any, **_: Any) -> Tensor:
        return torch.rand(shape)

    def transform(self, params: Any, eps: Tensor) -> Tensor:
        return params[0] + eps

    def mean(self, params: Any) -> Tensor:
        return params[0] + 0.5

    def log_scale(self, params: Any) -> Tensor:
        return torch.zeros_like(params[0])

    def distribution(self, params: Any) -> Any:
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        return {}


def test_a_law_whose_mean_is_elsewhere() -> None:
    (line,) = lines(nn.Linear(2, 2), {"": "stochastic"}, noise=Shifted())
    assert "the mean of Shifted is not its location" in line


@pytest.mark.parametrize("spec", [{}, [], "fc", {3: "bayesian"}])
def test_no_spec(spec: Any) -> None:
    with pytest.raises(SettingError, match="spec"):
        sf.check(nn.Linear(2, 2), spec)


def test_no_model() -> None:
    with pytest.raises(SettingError, match=r"a model is a torch\.nn\.Module, not list"):
        sf.check([nn.Linear(2, 2)], {"*": "bayesian"})  # type: ignore[arg-type]


def test_what_a_pattern_leaves_is_noted() -> None:
    model = nn.Sequential(nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 3), sf.nn.AdditiveNoise((3,)))
    assert lines(model, {"*": "stochastic"}) == [
        f"note: 0 (BatchNorm1d) has no stochastic twin: {AROUND}",
        "note: 3 (AdditiveNoise) is one of sfumato's layers already: leave it out",
    ]
    listed = nn.Sequential(
        nn.ParameterList([torch.ones(2)]), nn.Linear(2, 2), scripted(nn.Sequential(nn.Linear(2, 2)))
    )
    assert lines(listed, {"*": "bayesian"}) == [
        "note: 0 (ParameterList) is a list without a forward: name the module that uses it",
        "note: 2 (RecursiveScriptModule) is compiled by torch.jit and cannot be changed: "
        "convert first",
    ]
    assert lines(Attending(), {"*": "bayesian"}) == [
        'note: scaled (Scaled) keeps factor as it is: name it, "scaled", to change it as a whole',
        'note: mixed.1 (Scaled) keeps factor as it is: name it, "mixed.1", to change it as a whole',
    ]


def test_a_pattern_does_not_pass_over_what_it_means() -> None:
    """A Linear that cannot be changed is an error under "*"; the remedy may be to leave it out."""
    model = nn.Sequential(nn.Linear(3, 3), nn.LazyLinear(3))
    (line,) = lines(model, {"*": "stochastic"})
    assert line.endswith('run the model on a record first, or leave it out, {"1": None}')
    assert lines(model, {"*": "stochastic", "1": None}) == []


@pytest.mark.parametrize("kind", KINDS)
def test_quantised_layers_are_one_thing(kind: str) -> None:
    (line,) = lines(nn.Sequential(quantised()), {"*": kind})
    assert line.startswith("error: 0 (Linear) has quantised weights")
    (line,) = lines(nn.Sequential(quantised()), {"0._packed_params": kind})
    assert "lies inside 0 (Linear)" in line


def test_inside_a_transformer_layer() -> None:
    model, _ = encoder()
    inner = "encoder.layers.0.linear1"
    text = (
        f"{inner} (Linear) lies inside encoder.layers.0 (TransformerEncoderLayer), which changes "
        'as a whole or not at all: name that one, "encoder.layers.0"'
    )
    for kind in ("stochastic", "bayesian"):
        assert lines(model, {inner: kind}) == [f"error: {text}"]
        found = lines(model, {"*0.linear1": kind})
        assert found[0].startswith("error: key '*0.linear1' matches nothing that could become")
        assert found[1:] == [f"note: {text}"]
        assert not [f for f in sf.check(model, {"*": kind}) if "lies inside" in f.reason]
    attention = nn.Sequential(nn.MultiheadAttention(4, 2))
    (line,) = lines(attention, {"0.out_proj": "stochastic"})
    assert "lies inside 0 (MultiheadAttention)" in line
    (line,) = lines(nn.Sequential(sf.nn.StochasticLSTM(2, 2)), {"0.head": "bayesian"})
    assert "lies inside 0 (StochasticLSTM)" in line
    (line,) = lines(parametrizations.weight_norm(nn.Linear(2, 2)), {"parametrizations": "bayesian"})
    assert "lies inside the model itself (ParametrizedLinear)" in line


def test_keys_that_meet() -> None:
    model, _ = resnet()
    both = {"layer1": "bayesian", "layer1.0": "bayesian"}
    assert lines(model, both) == [
        "error: layer1.0 (Block) lies inside layer1, which another key changes: "
        "leave one of the two keys out"
    ]
    assert lines(model, {"layer1": "bayesian", "layer1.*": "stochastic"}) == [
        "note: key 'layer1.*' decides nothing: other keys decide all that it matches"
    ]
    assert lines(model, {"fc*": "stochastic", "fc": "bayesian"}) == [
        "note: key 'fc*' decides nothing: other keys decide all that it matches"
    ]
    twice = Twice()
    assert lines(twice, {"first": "bayesian", "again.1": "stochastic"})[0] == (
        "error: first (Linear) is one layer under two names, and 'first' and 'again.1' want "
        "different things of it: give it one of the keys"
    )
    assert lines(twice, {"again.1": "bayesian"}) == [
        "note: again.1 (Linear) also stands at first, which changes with it"
    ]
    assert lines(twice, {"first": "bayesian", "again.1": "bayesian"}) == []


def test_shared_weights() -> None:
    model = Twice()
    shares = "shares one.weight = other.weight,"
    alone = f"(Linear) {shares} and a stochastic layer can share it only with another one like it"
    way = "convert all that share it in the same way, or none, or untie them"
    assert lines(model, {"one": "stochastic"}) == [f"error: one {alone}: {way}"]
    for value in ("bayesian", {"kind": "stochastic", "scale": 0.5}):
        assert f"error: one {alone}: {way}" in lines(model, {"one": "stochastic", "other": value})
    assert lines(model, {"o*": "stochastic"}) == []
    assert lines(model, {"one": "bayesian"}) == [
        f"note: one (Linear) {shares} as a mean only: this layer alone draws around it"
    ]
    assert lines(model, {"o*": "bayesian"}) == [
        f"error: {name} (Linear) {shares} and would draw it apart from the others: "
        'make "", the whole model, Bayesian as a whole, which draws it once'
        for name in ("one", "other")
    ]
    outer = nn.Sequential(nn.ReLU(), model)
    assert 'make "1" Bayesian as a whole' in lines(outer, {"1.o*": "bayesian"})[0]
    assert lines(outer, {"1": "bayesian"}) == []
    assert lines(model, {"one": lambda layer: layer}) == [
        f"note: one (Linear) {shares} if what the function returns still does"
    ]


def test_a_parameter_that_the_parent_shares() -> None:
    model = Scaled(3)
    model.factor = model.linear.bias
    (line,) = lines(model, {"linear": "stochastic"})
    assert line.startswith("error: linear (Linear) shares factor = linear.bias,")


class Listed(nn.Module):
    """A model that reaches a layer and a weight through plain containers."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = (nn.Linear(3, 3) for _ in range(3))
        self.steps = {"first": [self.one]}
        self.decayed = (self.two.weight,)


def test_layers_and_weights_in_plain_containers() -> None:
    held = "which would keep the old one: hold it in a torch.nn.ModuleList, or look it up"
    found = lines(Listed(), {"*": "stochastic"})
    assert found == [
        f"error: one (Linear) is also held by the attribute 'steps' of Listed, {held} when it is "
        "called",
        f"error: two (Linear) is also held by the attribute 'decayed' of Listed, {held} when it is "
        "called",
    ]
    assert lines(Listed(), {"*": "bayesian"}) == found[:1]  # a mean stays what it was
    assert lines(Listed(), {"three": "stochastic"}) == []


def test_notes_on_what_comes_with_it() -> None:
    bare = nn.Linear(3, 3, bias=False)
    assert lines(bare, {"": "stochastic"}) == [
        "note: the model itself (Linear) has no bias and gets one, zero for the location, to hold "
        "its scale"
    ]
    assert lines(bare, {"": "bayesian"}) == []
    (line,) = lines(nn.Linear(3, 3), {"": "stochastic"}, bound=(0, 1))
    assert "is clamped to (0, 1), which changes what lies outside" in line
    (line,) = lines(nn.LSTM(3, 3), {"": "stochastic"})
    assert "passes on a sample of its output sequence, but its state without noise" in line
    (line,) = lines(nn.LSTM(3, 3), {"": "bayesian"}, estimator="flipout")
    assert "'flipout' is for Linear and Conv: leave estimator out" in line
    (line,) = lines(nn.Embedding(3, 3, padding_idx=0), {"": "bayesian"})
    assert "has a padding row that is drawn like the others" in line
    mixed = nn.Sequential(nn.Linear(2, 2), Whole())
    (line,) = lines(mixed, {"": "bayesian"})
    assert line.endswith("has a 1.table of torch.int64, which is not drawn")


def test_the_shortcut_of_an_encoder() -> None:
    for kind in ("stochastic", "bayesian"):
        model, _ = encoder(nested=True)
        (line,) = lines(model, {"encoder.layers.*": kind})
        assert line.startswith(
            "note: encoder.layers.0 (TransformerEncoderLayer) ends its encoder's"
        )
        for spec in ({"encoder.layers.1": kind}, {"head": kind}, {"encoder": "bayesian"}):
            assert lines(model, spec) == []
        assert lines(encoder()[0], {"encoder.layers.*": kind}) == []


def test_a_finding_is_a_value_in_one_line() -> None:
    (found,) = sf.check(nn.Linear(3, 3, bias=False), {"": "stochastic"})
    assert (found.severity, found.name, found.layer) == ("note", "", "Linear")
    assert "\n" not in repr(found) and str(found) == repr(found)
    assert found == copy.copy(found)
    with pytest.raises(FrozenInstanceError):
        found.name = "x"  # type: ignore[misc]
    assert repr(Finding("error", "a*", "", "matches no layer", "")) == (
        "error: key 'a*' matches no layer"
    )


def test_errors_come_first() -> None:
    model, _ = resnet()
    severities = [f.severity for f in sf.check(model, {"*": "stochastic", "bn1": "stochastic"})]
    assert severities == sorted(severities) and {"error", "note"} == set(severities)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", MODELS)
def test_what_has_no_error_is_converted(name: str, kind: str) -> None:
    """Each module of each model, by its exact name."""
    model, _ = MODELS[name]()
    for key in dict(model.named_modules()):
        errors = [f for f in sf.check(model, {key: kind}) if f.severity == "error"]
        if errors:
            with pytest.raises(SettingError):
                sf.convert(model, {key: kind})
        else:
            sf.convert(model, {key: kind})


def test_parametrizations_are_no_layers() -> None:
    model = nn.Sequential(parametrizations.spectral_norm(nn.Linear(3, 3)))
    parametrize.register_parametrization(model[0], "bias", Scaled(3))
    assert lines(model, {"*": "bayesian"}) == []
