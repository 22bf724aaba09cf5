"""The parts of a round: what is screened, what is clean, what a constant image gives away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import sfumato as sf
from sfumato.obfuscation import Screening, rounds
from sfumato.obfuscation.plan import Job
from tests.obfuscation import tiny


def job(folder: Path, **changes: Any) -> Job:
    return Job.of(tiny.plan(**changes), tiny.linear, *tiny.records(), folder)


class Watching(nn.Module):
    """Keeps what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(64, tiny.CLASSES)
        self.shown: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.shown.append(x.detach().clone())
        return self.inner(x.flatten(1))


@pytest.mark.parametrize("screening", [Screening(share=0.5, fill=-1.0), None], ids=["on", "off"])
def test_releases_are_screened_afresh_at_every_step(
    tmp_path: Path, screening: Screening | None
) -> None:
    work, model = job(tmp_path), Watching()
    values = torch.arange(120.0).reshape(-1, 1, 1, 1).expand(-1, 1, 8, 8)
    released = torch.arange(120) % 3 > 0
    rounds.resume(work, model, values, released, screening, "cell/learner", (0,))
    # Two epochs of two batches; every record says by its value which one it is.
    epochs = [torch.cat(model.shown[:2]), torch.cat(model.shown[2:])]
    hidden = []
    for shown in epochs:
        number = shown.flatten(1).amax(1).long()
        gone = (shown[number.argsort()] == -1).flatten(1)
        assert not bool(gone[~released].any())
        assert torch.equal(number.sort().values, torch.arange(120))
        hidden.append(gone)
    if screening is None:
        assert not bool(hidden[0].any())
    else:
        assert bool(hidden[0][released].any(1).all())
        assert float((hidden[0] == hidden[1])[released].all(1).float().mean()) < 0.2


def test_clean_records_are_clean_and_the_others_released(tmp_path: Path) -> None:
    work = job(tmp_path)
    obfuscator = sf.obfuscation.isotropic(work.shape, 0.5)
    values, released = rounds._training_set(work, 0.2, 0, obfuscator)
    clean, inputs = rounds.clean_part(work, 0.2, 0), work.records()[0]
    assert torch.equal(values[clean], inputs[clean])
    assert sorted(clean.tolist()) == (~released).nonzero().flatten().tolist()
    noise = (values - inputs)[released]
    assert float(noise.std()) == pytest.approx(0.5, rel=0.05)
    assert bool(noise.flatten(1).any(1).all())
    # In the second round fewer records are released, as they were in the first one.
    later, still = rounds._training_set(work, 0.4, 0, obfuscator)
    assert int(still.sum()) == 72 and not bool((still & ~released).any())
    assert torch.equal(later[still], values[still])
    assert torch.equal(later[~still], inputs[~still])


def test_releases_are_seeded_and_drawn_once_for_each_record() -> None:
    obfuscator = sf.obfuscation.isotropic((3,), 1.0)
    same, labels = torch.zeros(2500, 3), torch.zeros(2500, dtype=torch.long)
    first, again, other = (rounds.release_all(obfuscator, same, labels, s) for s in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert len(first.unique(dim=0)) == 2500


def tattooed(kind: str) -> sf.Obfuscator:
    """Noise that writes its label into the first pixels, or noise that is the same for all."""
    obfuscator = sf.obfuscation.conditional((1, 8, 8), tiny.CLASSES, 0.1, kind="additive")
    layer = obfuscator.layer
    assert isinstance(layer, sf.nn.ConditionalAdditiveNoise)
    if kind == "tattoo":
        with torch.no_grad():
            layer.weight[:, 0, 0, 0, : tiny.CLASSES] = 10 * torch.eye(tiny.CLASSES)
    return obfuscator


class FirstPixels(nn.Module):
    """Reads the label off the first pixels alone."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, 0, 0, : tiny.CLASSES]


class Constant(nn.Module):
    """Says the same of everything."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.eye(tiny.CLASSES)[0].expand(len(x), -1)


def test_a_constant_image_shows_who_reads_the_noise(tmp_path: Path) -> None:
    work, test = job(tmp_path), tiny.records()[1]
    assert rounds.constant_image(work, FirstPixels(), tattooed("tattoo"), 0) == 1.0
    assert rounds.constant_image(work, FirstPixels(), tattooed("plain"), 0) < 0.6
    # Of the records that are not of class c, the constant model calls all c = 0 and none another.
    others = [int((test.labels != c).sum()) for c in range(tiny.CLASSES)]
    found = rounds.constant_image(work, Constant(), tattooed("tattoo"), 0)
    assert found == pytest.approx(others[0] / sum(others))


def test_the_constant_image_carries_the_noise_that_was_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The second round trains on the releases of the first, under the noise of the first.
    used: list[str] = []
    asked = rounds.constant_image

    def watched(work: Job, model: nn.Module, obfuscator: sf.Obfuscator, seed: int) -> float:
        used.append(obfuscator.digest())
        return asked(work, model, obfuscator, seed)

    monkeypatch.setattr(rounds, "constant_image", watched)
    work = job(tmp_path)
    for fraction in (0.2, 0.4):
        rounds.clean_only(work, fraction, 0)
        rounds.obfuscated_round(work, fraction, 0)
    first = sf.Obfuscator.load(
        rounds.state_folder(work, 0.2, 0) / "obfuscator", unaudited_ok=True
    ).digest()
    assert used == [first, first]


def test_finished_trainings_leave_no_checkpoint(tmp_path: Path) -> None:
    work = job(tmp_path)
    rounds.clean_only(work, 0.2, 0)
    rounds.obfuscated_round(work, 0.2, 0)
    assert list((tmp_path / "state" / "checkpoints").iterdir()) == []
