"""Gates in a network, training with them, and the plain network that comes out."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import sfumato as sf
from sfumato.compression.counting import count
from sfumato.compression.gates import GatedNetwork, VIBLoss, gated, remove_gated
from sfumato.compression.store import load_network, save_network
from sfumato.errors import DataError, SettingError
from sfumato.train import Batch, Recipe, lenet5, mlp, small_cnn, train_classifier, vgg16
from tests.compression.store.networks import Attention, Residual, trained


class Functional(nn.Module):
    """Activations, pooling, flattening and dropout are functions."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(1, 6, 3)
        self.two = nn.Conv2d(6, 5, 3, padding=1)
        self.three, self.four = nn.Linear(45, 9), nn.Linear(9, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.one(x)), 2)
        x = torch.tanh(self.two(x))
        x = F.relu(self.three(torch.flatten(x, 1)))
        return self.four(F.dropout(x, 0.5, self.training))


class Joined(nn.Module):
    """Two branches, concatenated."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(1, 4, 3), nn.Conv2d(1, 3, 3)
        self.mix, self.head = nn.Conv2d(7, 2, 1), nn.Linear(72, 3)

    def forward(self, x: Tensor) -> Tensor:
        both = torch.cat([self.left(x).relu(), F.relu(self.right(x))], 1)
        both = self.mix(both)
        return self.head(both.view(both.size(0), -1))


def normed(affine: bool = True) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, bias=False), nn.BatchNorm2d(6, affine=affine), nn.ReLU(inplace=True),
        nn.Conv2d(6, 5, 3, padding=1), nn.LeakyReLU(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(45, 8), nn.GELU(), nn.Dropout(), nn.Linear(8, 3),
    )  # fmt: skip


PICTURES = (1, 8, 8)
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], list[str]]] = {
    "small_cnn": (lambda: small_cnn(PICTURES, 10), PICTURES, ["0", "3", "7"]),
    "lenet5": (lenet5, (1, 28, 28), ["0", "3", "7"]),
    "mlp": (lambda: mlp((4,), 2), (4,), ["1", "3"]),
    "vgg16": (
        lambda: vgg16(width=0.03),
        (3, 32, 32),
        ["0", "3", "7", "10", "14", "17", "20", "24", "27", "30", "34", "37", "40", "45", "48"],
    ),
    "functional": (Functional, PICTURES, ["one", "two", "three"]),
    "joined": (Joined, PICTURES, ["left", "right", "mix"]),
    "normed": (normed, PICTURES, ["0", "3", "7"]),
    "norm without weights": (lambda: normed(False), PICTURES, ["0", "3", "7"]),
    "residual": (Residual, PICTURES, ["one"]),
}


def disturbed(network: GatedNetwork) -> GatedNetwork:
    """Means and scales of all sizes: about a third of the gates is closed."""
    with torch.no_grad():
        for name in network.places:
            gate = network.gate(name)
            gate.location.copy_(torch.rand(gate.channels) * 1.5 - 0.1)
            gate.log_variance.copy_(2 * (torch.rand(gate.channels) * 0.9 + 0.01).log())
    return network


@pytest.mark.parametrize("name", NETWORKS)
def test_the_smaller_network_is_the_mean_path(name: str) -> None:
    make, shape, layers = NETWORKS[name]
    plain = trained(make(), shape)
    network = disturbed(gated(plain, shape))
    assert list(network.places) == layers
    x = torch.rand(4, *shape)
    with sf.sampling(network.eval(), "mean"):
        wanted = network(x)
    kept = copy.deepcopy(network.state_dict())
    smaller = remove_gated(network)
    assert type(smaller) is type(plain)
    torch.testing.assert_close(smaller(x), wanted, atol=1e-5, rtol=1e-4)
    assert all(torch.equal(value, kept[key]) for key, value in network.state_dict().items())
    closed = sum(int(network.gate(layer).closed.sum()) for layer in layers)
    assert closed and count(smaller, shape).parameters < count(plain, shape).parameters


@pytest.mark.parametrize("name", ["mlp", "functional", "normed"])
def test_open_gates_leave_the_network_as_it_is(name: str) -> None:
    make, shape, layers = NETWORKS[name]
    plain = trained(make(), shape)
    network = gated(plain, shape)
    with torch.no_grad():
        for layer in layers:
            network.gate(layer).location.fill_(1.0)
    x = torch.rand(4, *shape)
    with sf.sampling(network.eval(), "mean"):
        torch.testing.assert_close(network(x), plain(x))
    torch.testing.assert_close(remove_gated(network)(x), plain(x))


def test_a_layer_that_is_closed_keeps_one_channel() -> None:
    network = gated(mlp((4,), 2, (5, 5)), (4,))
    with torch.no_grad():
        network.gate("1").location.copy_(torch.tensor([0.1, 0.2, 0.3, 0.2, -1.0]))
        network.gate("1").log_variance.fill_(0.0)
    x = torch.rand(3, 4)
    with sf.sampling(network, "mean"):
        wanted = network(x)
    smaller = remove_gated(network)
    assert len(smaller.get_parameter("1.weight")) == 1
    torch.testing.assert_close(smaller(x), wanted)


def test_it_is_stored_in_the_code_of_the_plain_one(tmp_path: object) -> None:
    smaller = remove_gated(disturbed(gated(Functional(), PICTURES))).eval()
    folder = save_network(smaller, str(tmp_path), like=Functional(), input_shape=PICTURES)
    x = torch.rand(2, *PICTURES)
    assert torch.equal(load_network(Functional, folder)(x), smaller(x))


def test_dropout_follows_the_mode_of_now() -> None:
    """The trace was made while evaluating, and must not hold that."""
    network = gated(Functional().eval(), PICTURES)
    x = torch.rand(8, *PICTURES)
    with sf.sampling(network, "mean"):
        assert torch.equal(network.eval()(x), network(x))
        assert not torch.equal(network.train()(x), network(x))


def test_gating_leaves_the_model_and_its_mode_alone() -> None:
    model = mlp((4,), 2).train()
    before = copy.deepcopy(model.state_dict())
    network = gated(model, (4,))
    nn.init.zeros_(network.plain.get_parameter("1.weight"))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(part.training for part in network.modules())


def test_a_copy_has_gates_of_its_own() -> None:
    network = gated(mlp((4,), 2), (4,))
    other = disturbed(copy.deepcopy(network))
    x = torch.rand(2, 4)
    with sf.sampling(network, "mean"), sf.sampling(other, "mean"):
        assert not torch.equal(network(x), other(x))


# training


def toy(records: int = 256) -> tuple[Tensor, Tensor]:
    """Two of eight features tell the class."""
    labels = torch.arange(records) % 2
    x = torch.randn(records, 8)
    x[:, :2] += 3.0 * (2 * labels[:, None] - 1)
    return x, labels


def test_training_closes_gates_and_keeps_the_task() -> None:
    x, labels = toy()
    network = gated(mlp((8,), 2, (32,)), (8,))
    recipe = Recipe(epochs=60, min_steps=0, batch_size=64, lr=0.05)
    train_classifier(network, x, labels, recipe, seed=0, loss=VIBLoss(0.02))
    smaller = remove_gated(network)
    assert len(smaller.get_parameter("1.weight")) <= 16
    assert float((smaller(x).argmax(1) == labels).float().mean()) > 0.95


def batch() -> Batch:
    x, labels = toy(16)
    return Batch(x, labels, torch.arange(16), 0.0)


def test_the_loss_is_the_task_and_the_weighted_divergences() -> None:
    network = disturbed(gated(mlp((8,), 2, (5, 4)), (8,)))
    divergence = [network.gate(name).kl().item() for name in ("1", "3")]

    def task(_: nn.Module, __: Batch) -> Tensor:
        return torch.tensor(2.0)

    found = VIBLoss(0.1, task)(network, batch())
    assert found.item() == pytest.approx(2 + 0.1 * sum(divergence))
    weighed = VIBLoss(0.1, task, {"3": 5.0})(network, batch())
    assert weighed.item() == pytest.approx(2 + 0.1 * (divergence[0] + 5 * divergence[1]))
    assert VIBLoss(0.0, task)(network, batch()).item() == 2


def test_losses_that_cannot_be() -> None:
    network = gated(mlp((8,), 2), (8,))
    with pytest.raises(SettingError, match="at least 0, not -1"):
        VIBLoss(-1.0)
    with pytest.raises(SettingError, match="at least 0, not nan"):
        VIBLoss(float("nan"))
    with pytest.raises(SettingError, match="needs a network with gates"):
        VIBLoss(1.0)(mlp((8,), 2), batch())
    with pytest.raises(SettingError, match="no gate after 9, but after 1, 3"):
        VIBLoss(1.0, layers={"9": 2.0})(network, batch())


# what cannot be gated


class Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.one(x)
        return self.two(x) if x.sum() > 0 else self.two(-x)


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.two(self.one(self.one(x).relu()).relu())


class Shared(nn.Module):
    """A reader of two branches, or of one and the input; a norm or a kernel that is shared."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.one, self.two, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)
        self.norm = nn.BatchNorm1d(4)
        if kind == "kernel":
            self.two.weight = self.one.weight

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "branches":
            return self.head(torch.tanh(self.one(x))) + self.head(torch.tanh(self.two(x)))
        if self.kind == "input":
            return self.head(torch.tanh(self.one(x))) + self.head(x)
        if self.kind == "norm":
            return self.head(self.norm(self.two(self.norm(self.one(x)).relu())).relu())
        return self.head(self.two(self.one(x).relu()).relu())


@pytest.mark.parametrize(
    ("model", "shape", "message"),
    [
        (Shared("branches"), (4,), "into head, which is called more than once"),
        (Shared("input"), (4,), "into head, which is called more than once"),
        (Shared("norm"), (4,), "into norm, which is called more than once"),
        (Shared("kernel"), (4,), "into one, which shares values with two"),
        (nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2)), (5, 4), "and there alone"),
        (
            nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Flatten(2), nn.Linear(36, 2)),
            PICTURES,
            r"3 reads it in another order, \[1, 4, 36\]",
        ),
        (
            nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.AvgPool1d(2), nn.Linear(4, 2)),
            (4,),
            r"3 reads it in another order, \[1, 4\]",
        ),
    ],
)
def test_where_a_mean_could_not_be_folded_in(
    model: nn.Module, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        gated(model, shape, ["one"] if isinstance(model, Shared) else ["0"])


def test_a_folded_network_that_is_another_one_is_not_given_out() -> None:
    """Features are averaged with their neighbours between the gate and the layer that reads."""
    model = nn.Sequential(
        nn.Linear(4, 8), nn.Tanh(), nn.AvgPool1d(3, stride=1, padding=1), nn.Linear(8, 2)
    )
    with pytest.raises(SettingError, match="the network is another one"):
        remove_gated(disturbed(gated(model, (4,))))


@pytest.mark.parametrize(
    ("model", "shape", "names", "message"),
    [
        (
            nn.Sequential(nn.Linear(4, 2)),
            (4,),
            None,
            "no layer that can be gated.*it is the network's output",
        ),
        (Branching(), (4,), None, "torch.fx can trace, and this one cannot be"),
        (Twice(), (4,), None, "one: it is called more than once"),
        (mlp((4,), 2), (5,), None, r"cannot take records of shape \(5,\)"),
        (mlp((4,), 2), (4,), ["5"], "'5' cannot be gated: no layer reads it"),
        (mlp((4,), 2), (4,), ["nine"], "'nine' cannot be gated: there is no linear"),
        (mlp((4,), 2), (4,), [], "names is empty"),
        (
            Residual(),
            PICTURES,
            ["two"],
            "'two' cannot be gated: its value goes into .* with others",
        ),
        (Attention(), (5, 4), ["wide"], r"'wide' cannot be gated: its channels are not on axis 1"),
        (nn.Sequential(sf.nn.StochasticLinear(4, 2)), (4,), None, "samples in 0: .*collapse"),
        ("a network", (4,), None, "gated takes a network"),
    ],
)
def test_what_cannot_be_gated(
    model: nn.Module, shape: tuple[int, ...], names: Sequence[str] | None, message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        gated(model, shape, names)


def test_named_layers_alone() -> None:
    network = gated(lenet5(), (1, 28, 28), ["3", "7", "3"])
    assert list(network.places) == ["3", "7"]
    assert (network.gate("3").channels, network.gate("3").positions) == (50, 64)
    with pytest.raises(SettingError, match="no gate after '0', but after 3, 7"):
        network.gate("0")


def test_removal_of_what_has_no_gates() -> None:
    with pytest.raises(SettingError, match="takes what gated"):
        remove_gated(mlp((4,), 2))


def test_a_gate_that_is_nan() -> None:
    network = gated(mlp((4,), 2), (4,))
    with torch.no_grad():
        network.gate("3").log_variance[0] = float("nan")
    with pytest.raises(DataError, match="the gate after '3' is NaN"):
        remove_gated(network)
