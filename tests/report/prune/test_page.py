"""The page of a pruned network, and the schema of its results."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sfumato.errors import OutputError, StoreError
from sfumato.files import write_json
from sfumato.report.prune import paper
from sfumato.report.prune.page import PAPER_SETTING, render_prune, validate_prune, write_prune
from sfumato.report.prune.tables import front_table, published_table
from sfumato.report.prune.words import verdict
from tests.disk import nearly_full
from tests.report.reading import Page, check_self_contained

HEADINGS = [
    "mnist: lenet5, pruned",
    "Error against multiplications",
    "Costs",
    "Beside published results",
    "Architecture",
    "Speed",
    "How to load it",
    "The front",
    "Settings",
    "Provenance",
    "Words",
]
LAYERS = (
    ("0", "Conv2d", [5, 5], [1, 20], [1, 2]),
    ("3", "Conv2d", [5, 5], [20, 50], [2, 7]),
    ("7", "Linear", [], [800, 500], [112, 79]),
    ("9", "Linear", [], [500, 10], [79, 10]),
)


def step(number: int) -> dict[str, Any]:
    return {
        "step": number,
        "multiplications": round(2_293_000 * 0.955**number),
        "parameters": round(431_080 * 0.955**number),
        "activations": round(15_230 * 0.97**number),
        "error": 0.008 + 0.00002 * number,
        "widths": {"0": max(2, 20 - number // 4), "3": 50 - number // 2, "7": 500 - 5 * number},
        "removed": 0 if number == 0 else 3,
    }


def results(**changes: Any) -> dict[str, Any]:
    content: dict[str, Any] = {
        "schema": "sfumato.prune/1",
        "command": "prune",
        "data": {
            "name": "path/to/mnist", "train": 51_000, "validation": 9_000, "test": 10_000,
            "shape": [1, 28, 28], "classes": [str(digit) for digit in range(10)],
        },
        "network": {
            "name": "lenet5",
            "setting": PAPER_SETTING,
            "layers": [
                dict(zip(("name", "type", "kernel", "before", "after"), layer, strict=True))
                for layer in LAYERS
            ],
        },
        "before": {
            "multiplications": 2_293_000, "parameters": 431_080, "activations": 15_230,
            "validation_error": 0.008, "test_error": 0.007,
        },
        "after": {
            "multiplications": 60_838, "parameters": 10_136, "activations": 1_689,
            "validation_error": 0.0096, "test_error": 0.0091, "step": 79,
        },
        "scratch": {"steps": 30_000, "validation_error": 0.0129, "test_error": 0.0127},
        "met": True,
        "steps": [step(number) for number in range(80)],
        "front": list(range(80)),
        "speed": [
            {"batch": 1, "before_ms": 0.2, "after_ms": 0.1, "ratio": 2.0},
            {"batch": 64, "before_ms": 9.0, "after_ms": 0.9, "ratio": 10.0},
        ],
        "files": {"network": "network", "onnx": "network.onnx", "program": "network.pt2"},
        "load": ["from sfumato.train import lenet5", "more", 'model = load_network("<a & b>")'],
        "config": {"data": "path/to/mnist", "seed": 0},
        "provenance": {"date": "2026-01-02T03:04:05+00:00"},
    }  # fmt: skip
    content |= changes
    return {**content, "verdict": verdict(content)}


def text_of(html: str) -> str:
    return re.sub(r"<style>.*?</style>|<[^>]+>", "", html, flags=re.DOTALL)


def test_the_page_has_its_parts_in_order_and_needs_no_other_file() -> None:
    html = render_prune(results())
    page = Page(html)
    assert page.headings == HEADINGS
    check_self_contained(html)
    assert "load_network(&#34;&lt;a &amp; b&gt;&#34;)" in html
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))


def test_the_papers_points_are_drawn_where_they_belong() -> None:
    assert len(paper.TABLE) == 10
    html = render_prune(results())
    drawing = html[html.index("Error against multiplications") : html.index("<h2>Costs")]
    for one in paper.TABLE:
        assert f">{one.name}<" in drawing
    other = results()
    other["network"]["setting"] = None
    html = render_prune(other)
    assert published_table(other) is None
    assert "SE-SNN" not in html and "Beside published" not in html


def test_this_run_stands_beside_the_paper_as_it_counts() -> None:
    table = published_table(results())
    assert table is not None
    rows = {row.title: list(row.cells) for row in table.rows}
    assert rows["SE-SNN"] == ["2.35", "0.061", "11.08", "0.9"]
    assert rows["This run"] == ["2.35", "0.061", "11.09", "0.91"]


def test_the_chosen_step_is_in_a_front_that_is_thinned_out() -> None:
    found = results()
    found["after"]["step"] = 41
    table = front_table(found)
    assert len(table.rows) <= 26
    assert [row.title for row in table.rows if row.strong] == ["41"]
    assert "not all are shown" in render_prune(found)


def test_one_step_and_one_layer_without_scratch_or_onnx() -> None:
    found = results(steps=[step(0)], front=[0], scratch=None, speed=[])
    found["network"]["layers"] = found["network"]["layers"][2:3]
    found["files"]["onnx"] = None
    validate_prune(found)
    html = render_prune(found)
    check_self_contained(html)
    assert "There is no ONNX file" in html and "from scratch makes" not in html


# the verdict


def scratch(error: float, records: int = 10_000) -> str:
    found = results(scratch={"steps": 9, "validation_error": 0.0, "test_error": error})
    found["data"]["test"] = records
    return verdict(found)[1]


def test_the_verdict_holds_pruning_against_training_from_scratch() -> None:
    assert scratch(0.0150).endswith("pruning was worth 0.6 points.")
    assert scratch(0.0050).endswith("that is better by 0.4 points, and pruning was not worth it.")
    assert "cannot tell them apart" in scratch(0.0100)
    assert "360 test records and one seed cannot tell them apart" in scratch(0.0150, 360)


def test_the_verdict_begins_with_what_was_not_reached() -> None:
    found = results(met=False)
    assert verdict(found)[0].startswith("The budget could not be met")
    assert (
        "60\u202f838 multiplications instead of 2\u202f293\u202f000 (2.65 %)" in verdict(found)[1]
    )
    assert "0.91 % instead of 0.7 %" in verdict(found)[1]


def test_speed_is_told_as_it_is() -> None:
    assert verdict(results())[-1] == (
        "On one thread of this machine it is 2 times as fast for one record and 10 times as fast "
        "for 64 at once."
    )


# the schema

BROKEN: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no verdict": (lambda r: r.pop("verdict"), "verdict is missing"),
    "another version": (lambda r: r.update(schema="sfumato.prune/2"), "schema: "),
    "an error above 1": (lambda r: r["after"].update(test_error=1.5), "after.test_error: "),
    "no step": (lambda r: r.update(steps=[]), "steps: "),
    "a layer of nothing": (lambda r: r["network"]["layers"][0].update(after=[1, 0]), "after[1]: "),
    "scratch in part": (lambda r: r["scratch"].pop("steps"), "scratch.steps is missing"),
}


def test_the_sample_fits_the_schema() -> None:
    validate_prune(results())


@pytest.mark.parametrize("name", BROKEN)
def test_what_does_not_fit_is_told(name: str, tmp_path: Path) -> None:
    change, message = BROKEN[name]
    content = copy.deepcopy(results())
    change(content)
    write_json(tmp_path / "results.json", content)
    with pytest.raises(StoreError, match=re.escape(message)):
        write_prune(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_results_that_are_not_there_or_cut_off(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not there"):
        write_prune(tmp_path)
    (tmp_path / "results.json").write_text('{"schema": ')
    with pytest.raises(StoreError, match="truncated or damaged"):
        write_prune(tmp_path)


def test_a_full_disk(tmp_path: Path) -> None:
    write_json(tmp_path / "results.json", results())
    with nearly_full(5000), pytest.raises(OutputError, match="disk full"):
        write_prune(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_the_page_is_written_beside_the_results(tmp_path: Path) -> None:
    write_json(tmp_path / "results.json", results())
    page = write_prune(tmp_path)
    assert page == tmp_path / "report.html"
    html = text_of(page.read_text(encoding="utf-8"))
    assert html.index("60\u202f838 multiplications") < html.index("Error against multiplications")
