"""The peers' layers: stand-ins with their interfaces, or none at all."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sfumato.bench import peers
from sfumato.bench.case import Absent, Candidate
from sfumato.bench.step import Step

NAMES = ("bayesian_torch", "blitz", "torchbnn", "torch_uncertainty")


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this environment has, a test begins without any of the peers."""
    for name in [n for n in sys.modules if n.partition(".")[0] in NAMES]:
        monkeypatch.delitem(sys.modules, name)
    for name in NAMES:
        monkeypatch.setitem(sys.modules, name, None)


class Weighed(nn.Module):
    """Any Bayesian layer: sizes first, one weight, and a divergence."""

    def __init__(self, inputs: int, outputs: int, *size: Any, **settings: Any) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs))
        self.given = (inputs, outputs, *size), settings

    def out(self, x: Tensor) -> Tensor:
        if x.dim() == 4:
            return torch.einsum("bchw,co->bohw", x, self.weight)
        return x @ self.weight


class Intel(Weighed):
    def forward(self, x: Tensor, return_kl: bool = True) -> Any:
        return (self.out(x), self.weight.sum()) if return_kl else self.out(x)


class IntelLSTM(Weighed):
    def forward(self, x: Tensor, hidden_states: Any = None, return_kl: bool = True) -> Any:
        out = self.out(x)
        return (out, (out, out), self.weight.sum()) if return_kl else (out, (out, out))


class Blitz(Weighed):
    def forward(self, x: Tensor) -> Tensor:
        return self.out(x)


class BlitzRecurrent(Weighed):
    def forward(self, x: Tensor) -> Any:
        return self.out(x), (x, x)


class Priored(Weighed):
    def __init__(self, prior_mu: float, prior_sigma: float, *size: Any, **settings: Any) -> None:
        super().__init__(*size, **settings)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(x)


def module(name: str, monkeypatch: pytest.MonkeyPatch, **content: Any) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(content, __path__=[])
    monkeypatch.setitem(sys.modules, name, made)
    return made


def divergence(layer: Weighed) -> Tensor:
    return layer.weight.sum()


UNCERTAIN = """
import torch
from torch import nn

class BayesLinear(nn.Module):
    def __init__(self, *size, **settings):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(size[0], size[1]))

    def forward(self, x):
        self.log_variational_posterior, self.log_prior = self.weight.sum(), self.weight.prod()
        return torch.einsum("bi...,io->bo...", x, self.weight)

BayesConv2d = BayesLinear
"""
LAWS = """
from torch import nn
from torch.nn.functional import softplus

class NormalLinear(nn.Module):
    def __init__(self, base, event, **settings):
        super().__init__()
        self.layer = base(out_features=2 * event, **settings)

    def forward(self, x):
        loc, raw = self.layer(x).chunk(2, -1)
        return {"loc": loc, "scale": softplus(raw)}
"""


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Stand-ins for all four, as far as the adapters use them."""
    linear, conv = (
        "LinearReparameterization LinearFlipout",
        "Conv2dReparameterization Conv2dFlipout",
    )
    intel = dict.fromkeys([*linear.split(), *conv.split()], Intel)
    module("bayesian_torch", monkeypatch)
    module("bayesian_torch.layers", monkeypatch, **intel, LSTMReparameterization=IntelLSTM)
    recurrent = {"BayesianLSTM": BlitzRecurrent, "BayesianGRU": BlitzRecurrent}
    module("blitz", monkeypatch)
    module("blitz.modules", monkeypatch, BayesianLinear=Blitz, BayesianConv2d=Blitz, **recurrent)
    module("blitz.losses", monkeypatch, kl_divergence_from_nn=divergence)
    functional = module("torchbnn.functional", monkeypatch, bayesian_kl_loss=divergence)
    module("torchbnn", monkeypatch, BayesLinear=Priored, BayesConv2d=Priored, functional=functional)
    folder = tmp_path / "torch_uncertainty"
    (folder / "layers" / "bayesian").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('a heavy package')")
    (folder / "layers" / "__init__.py").write_text("raise RuntimeError('heavy, too')")
    (folder / "layers" / "bayesian" / "__init__.py").write_text(UNCERTAIN)
    (folder / "layers" / "distributions.py").write_text(LAWS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torch_uncertainty")
    yield
    # Whoever imports the package itself must get the whole of it.
    assert not [name for name in sys.modules if name.startswith("torch_uncertainty")]


def everyone(kl: bool) -> list[tuple[Candidate, Tensor]]:
    """All adapters, each with records that its layer takes."""
    made = [(candidate, torch.randn(3, 4)) for candidate in peers.linear(4, kl=kl)]
    made += [(candidate, torch.randn(3, 4, 5, 5)) for candidate in peers.conv(4, kl=kl)]
    made += [(candidate, torch.randn(3, 6, 4)) for candidate in peers.lstm(4, 2, kl=kl)]
    return made + [(candidate, torch.randn(3, 6, 4)) for candidate in peers.gru(4, 2, kl=kl)]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("kl", [False, True])
def test_every_adapter_gives_an_output_and_a_divergence(kl: bool) -> None:
    seen = 0
    for candidate, x in everyone(kl):
        step = Step(candidate.make(), x)
        outputs = step.forward()
        assert outputs[0].shape[0] == 3, candidate.name
        assert [output.dim() for output in outputs[1:]] == ([0] if kl else []), candidate.name
        assert all(gradient is not None for gradient in step.gradients()), candidate.name
        seen += 1
    assert seen == 5 + 5 + 2 + 1


@pytest.mark.usefixtures("installed")
def test_a_law_of_torch_uncertainty_is_drawn_from() -> None:
    candidate = peers.stochastic("NormalLinear", nn.Linear, 2, in_features=4)
    step = Step(candidate.make(), torch.randn(3, 4))
    (first,), (second,) = step.forward(), step.forward()
    assert first.shape == (3, 2)
    assert not torch.equal(first, second)


def test_a_peer_that_is_not_there_says_so() -> None:
    law = peers.stochastic("NormalLinear", nn.Linear, 2, in_features=4)
    for candidate in (*(c for c, _ in everyone(kl=True)), law):
        with pytest.raises(Absent, match=r"^not installed$"):
            candidate.make()


def test_a_peer_that_lacks_something_says_what(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "torchbnn").mkdir()
    (tmp_path / "torchbnn/__init__.py").write_text("import a_package_that_nobody_has")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torchbnn")
    with pytest.raises(Absent, match=r"^needs a_package_that_nobody_has$"):
        peers.linear(4, kl=False)[3].make()
    (tmp_path / "torchbnn/__init__.py").write_text("raise ImportError('too old')")
    with pytest.raises(Absent, match=r"^cannot be imported: too old$"):
        peers.linear(4, kl=False)[3].make()


def test_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tuple(peers.versions()) == peers.PACKAGES
    monkeypatch.setattr(peers, "PACKAGES", ("torch", "a-package-that-nobody-has"))
    assert peers.versions()["torch"]
    assert peers.versions()["a-package-that-nobody-has"] is None


def test_the_list_to_install_is_the_list_that_is_timed() -> None:
    listed = Path("benchmarks/peers.txt").read_text(encoding="utf-8").splitlines()
    names = [line.partition("==")[0] for line in listed if line and not line.startswith("#")]
    assert tuple(names) == peers.PACKAGES
    assert all("==" in line for line in listed if line and not line.startswith("#"))
