from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sfumato.errors import OutputError, StoreError
from sfumato.files import read_json
from sfumato.privacy.audits.checks import Check
from sfumato.privacy.audits.rows import AttackRow, Certified
from sfumato.privacy.audits.store import CARD
from sfumato.privacy.card import PrivacyCard
from sfumato.privacy.statistics import Figure
from sfumato.report import validate_card, write_card
from sfumato.report.card.page import render_card
from sfumato.report.card.pictures import worst_grid
from sfumato.report.card.tables import reconstruction_table
from tests.privacy.audited import card
from tests.report.reading import Page, check_self_contained

HEADINGS = [
    "tiny: privacy card",
    "Who sees what",
    "Reconstruction",
    "Certificate",
    "The records that leak most",
    "Controls",
    "Not run",
    "What the attacks say of themselves",
    "Settings and checksums",
    "Provenance",
    "Words",
]


def test_the_page_has_its_parts_in_order() -> None:
    assert Page(render_card(card())).headings == HEADINGS


def test_the_page_needs_no_other_file() -> None:
    check_self_contained(render_card(card()))


def test_the_worst_news_come_first_and_the_threat_model_before_any_figure() -> None:
    html = render_card(card())
    places = [html.index(text) for text in ("This audit is not to be trusted", "Who sees what")]
    places.append(html.index("The attacker knows everything but the draw"))
    places.append(html.index("<table"))
    assert places == sorted(places)
    assert "Not protected: labels; the clean part" in html


def test_the_worst_records_stand_beside_their_reconstructions() -> None:
    page = Page(render_card(card()))
    assert len(page.images) == 3 * 16
    assert all(image.startswith("data:image/png;base64,") for image in page.images)
    first, second = worst_grid(card().worst, ("low", "high"))
    assert [strip.title for strip in first] == ["Record", "Release", "Reconstruction"]
    assert len(second[0].pictures) == 8
    assert first[0].scale == first[2].scale  # an overshoot must not turn it grey
    assert first[0].pictures[0].note == card().worst.attacks[0]


def test_records_that_are_no_pictures() -> None:
    worst = replace(card().worst, records=torch.zeros(2, 5))
    assert worst_grid(worst, ("low", "high")) == []
    bare = replace(card(), worst=replace(card().worst, records=None))
    assert "The records that leak most" not in render_card(bare)


def test_a_card_without_controls_says_so() -> None:
    bare = replace(card(), controls=(), baselines=replace(card().baselines, isotropic=()))
    html = render_card(bare)
    assert "No control was run: this audit is not to be trusted." in html
    assert "<svg" not in html


def test_attacks_of_other_kinds_and_the_stored_set() -> None:
    figure = Figure(0.25, 0.01, 3, 0.2, 0.3)
    rows = (
        AttackRow("linkage", 1, False, "top1", 0.01, {"top1": figure, "top5": figure}),
        AttackRow("linear-pooled", 1, True, "leak", 0.0, {"leak": figure}, reconstructs=True),
    )
    html = render_card(replace(card(), attacks=(*card().attacks, *rows)))
    assert "Linkage, inference and selection" in html
    assert "the stored release" in html
    assert "<dt>linkage</dt><dd>top5 0.250</dd>" in html
    assert "0.200…0.300" in html


def test_the_table_has_the_class_mean_and_the_controls() -> None:
    table = reconstruction_table(card())
    assert table.heads[0] == "attack" and table.heads[-1] == "controls"
    assert {"leak", "PSNR, dB", "Pearson", "accuracy, %"} <= set(table.heads)
    by_name = {row.title: row for row in table.rows}
    assert by_name["linear-pooled"].cells[-1] == "passed"
    assert "failed" in by_name["class-mean"].cells[-1]
    assert by_name["class mean"].about == "what the label tells"
    assert sum(row.strong for row in table.rows) == 1


def test_words_are_escaped() -> None:
    nasty = (Certified(1, False, None, 1e-5, "Not certified: <script>alert(1)</script>"),)
    assert "<script>" not in render_card(replace(card(), certificate=nasty))


def test_a_page_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        write_card(card(), tmp_path / "nowhere")


@pytest.fixture
def content(tmp_path: Path) -> dict[str, Any]:
    card().save(tmp_path, pictures=False)
    return read_json(tmp_path / CARD)


def test_what_is_saved_fits_the_schema(content: dict[str, Any]) -> None:
    validate_card(content)
    assert PrivacyCard.__dataclass_fields__.keys() <= content.keys()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("leak", "mean"), "high", "leak.mean: 'high' is not of type 'number'"),
        (("leak", "extra"), 1, "leak: Additional properties"),
        (("trusted",), None, "trusted: None is not of type 'boolean'"),
        (("attacks", 0, "releases"), 0, r"attacks\[0\].releases: 0 is less than"),
        (("worst", "records"), [[0.0]], "worst: Additional properties are not allowed"),
        (("controls", 0, "kind"), "odd", r"controls\[0\].kind: 'odd' is not one of"),
        (("config_sha256",), "12", "config_sha256: '12' does not match"),
    ],
)
def test_what_does_not_fit(
    content: dict[str, Any], path: tuple[Any, ...], value: Any, message: str
) -> None:
    changed = copy.deepcopy(content)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(StoreError, match=f"privacy_card.json: {message}"):
        validate_card(changed)


def test_a_missing_part(content: dict[str, Any]) -> None:
    del content["threat_model"]
    with pytest.raises(StoreError, match="threat_model is missing"):
        validate_card(content)


def test_what_was_served_and_the_checks_have_their_place() -> None:
    figure = Figure(0.25, 0.01, 3, 0.2, 0.3)
    row = AttackRow("linear", 4, False, "leak", 0.0, {"leak": figure}, (), True, served=True)
    check = Check("stated law", False, "releases: the draw is fixed")
    html = render_card(replace(card(), attacks=(*card().attacks, row), checks=(check,)))
    assert "served without a label, 4 times" in html
    assert "<dt>failed</dt><dd>releases: the draw is fixed</dd>" in html
