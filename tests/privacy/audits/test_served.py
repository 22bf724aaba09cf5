"""What is served without a label is attacked too; and mechanisms that state no law."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import sfumato as sf
from sfumato.data.records import Records
from sfumato.errors import DataError, SettingError
from sfumato.obfuscation.cloak import CloakSettings, cloak
from sfumato.obfuscation.shredder import Shredder
from sfumato.privacy.attacks import LinearAttack, LinkageAttack, MapAttack, SelectionAttack
from sfumato.privacy.audits.plan import release_counts, seed_numbers
from sfumato.train import Recipe
from tests.privacy.audited import judge, records, run

ONCE: dict[str, Any] = {"releases": (1, 4), "seeds": (0,), "control": False}


def conditional() -> sf.Obfuscator:
    layer = sf.nn.ConditionalConv2d(2, 1, 1, 3, padding=1)
    return sf.Obfuscator(layer, sf.nn.SoftSelection(2))


def test_what_is_served_has_rows_of_its_own_at_every_k() -> None:
    found = run(
        obfuscator=conditional(),
        attacks=[LinearAttack(pooled=True), LinkageAttack(), SelectionAttack()],
        **ONCE,
    )
    rows = {(row.name, row.releases) for row in found.attacks if row.served}
    assert rows == {(name, k) for name in ("linear-pooled", "linkage") for k in (1, 4)}
    served = found.attack("linear-pooled", served=True).score
    assert served != found.attack("linear-pooled").score
    assert any("Of a record served without its label it is" in line for line in found.verdict)
    assert "Records served without a label" in " ".join(found.threat_model)
    assert "(served)" in str(found)


def test_a_mixture_is_served_under_the_law_of_all_its_classes() -> None:
    """Every call draws a class for each record; its law does not change from call to call."""
    layer = sf.nn.ConditionalConv2d(2, 1, 1, 3, padding=1)
    found = run(
        obfuscator=sf.Obfuscator(layer, sf.nn.SoftSelection(2, combine="mixture")),
        attacks=[LinearAttack(), MapAttack(steps=10), LinkageAttack(), SelectionAttack()],
        **{**ONCE, "releases": (1, 3)},
    )
    assert all(one.passed for one in found.checks), [one.words for one in found.checks]
    assert any("classes of served releases" in one.words for one in found.checks)
    for name, count in (("linear", 1), ("map", 1), ("map", 3), ("linkage", 1), ("linkage", 3)):
        assert not found.attack(name, count, served=True).skipped
    assert not any("states no law" in note for note in found.attack("linkage", served=True).notes)
    assert "served_scale" in found.attack("selection").figures


def test_bounds_look_at_what_is_served() -> None:
    """Released with strong noise, served with next to none."""

    class Weak:
        selection, num_classes = "learned", 2

        def __call__(self, x: torch.Tensor) -> torch.Tensor:
            return x + 1e-3 * torch.randn_like(x)

        def release(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return x + 5 * torch.randn_like(x)

        def distribution(self, x: torch.Tensor, selection: Any = None) -> Any:
            sigma = 1e-3 if selection is None else 5.0
            return torch.distributions.Normal(x, torch.full_like(x, sigma))

    found = run(obfuscator=Weak(), attacks=[LinearAttack()], releases=(1,), seeds=(0,))
    assert found.trusted and found.attack("linear").score.mean < 0.5
    (broken,) = found.broken_bounds(max_leak=0.6)
    assert broken.startswith("linear on 1 served copy: leak 1.000")
    assert found.strongest == "linear on served records"


def test_where_noise_ignores_the_label_serving_is_releasing() -> None:
    found = run(obfuscator=sf.obfuscation.isotropic((1, 4, 4), 1.0), **ONCE)
    assert not any(row.served for row in found.attacks)
    assert "what is served without one is what is released" in " ".join(found.threat_model)


def test_shredder_is_attacked_by_what_needs_no_law() -> None:
    found = run(
        obfuscator=Shredder(torch.randn(4, 1, 4, 4)),
        attacks=None,
        budget=sf.privacy.DecoderSettings(steps=5, width=2),
        releases=(1,),
        seeds=(0,),
        control=False,
    )
    rows = {row.name: row for row in found.attacks}
    assert "needs mechanism.distribution" in rows["map"].skipped
    assert any(line.startswith("Not run: map: ") for line in found.verdict[:4])
    assert rows["linear"].score.mean > 0.1 and not rows["linkage"].skipped
    assert found.information is not None and found.information.upper is None
    assert "does not state" in rows["selection"].skipped and not rows["selection"].figures
    assert any(line.startswith("Not run: selection: ") for line in found.verdict[:6])
    assert not found.certificate[0].certified


def test_cloak_is_attacked_as_any_obfuscator() -> None:
    recipe = Recipe(epochs=1, batch_size=64)
    made = cloak(judge(), records(200), CloakSettings(scale_recipe=recipe, constant_recipe=recipe))
    found = run(obfuscator=made, attacks=[LinearAttack(), LinkageAttack()], **ONCE)
    assert 0 < found.leak.mean <= 1


def constant(part: Records) -> Records:
    return Records(0 * part.inputs + 2, part.labels, part.classes)


def one_class_constant(part: Records) -> Records:
    inputs = torch.where(part.labels.reshape(-1, 1, 1, 1) == 1, 2.0, part.inputs)
    return Records(inputs, part.labels, part.classes)


def test_records_that_do_not_vary() -> None:
    known, target = records(200), records(100, seed=1)
    for data in ((constant(known), target), (known, constant(target))):
        with pytest.raises(DataError, match="do not vary within their class"):
            run(data=data, releases=(1,), seeds=(0,))
    one = run(data=(one_class_constant(known), one_class_constant(target)), **ONCE)
    assert 0 < one.leak.mean < 1


def test_a_number_stands_for_one_k_and_for_the_first_seeds() -> None:
    found = run(releases=3, seeds=2, control=False)
    assert (found.releases, found.seeds) == ((3,), (0, 1))
    assert release_counts(torch.tensor([1, 2])) == (1, 2)  # type: ignore[arg-type]
    for wrong in ("12", 1.5, [1.5], None, True, [None]):
        for read, name in ((release_counts, "releases"), (seed_numbers, "seeds")):
            with pytest.raises(SettingError, match=f"{name} are whole numbers, for example"):
                read(wrong)  # type: ignore[arg-type]
