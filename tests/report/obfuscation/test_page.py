from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from sfumato.errors import StoreError
from sfumato.report import write_report
from tests.report import sample
from tests.report.reading import Page, check_self_contained

HEADINGS = [
    "digits: obfuscated training in 3 rounds",
    "Accuracy over rounds",
    "Accuracy against leak",
    "Pictures",
    "Learned selection",
    "Rounds",
    "Baselines",
    "Settings",
    "Provenance",
    "Words",
]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a finished demo with pictures."""
    run = tmp_path_factory.mktemp("run")
    return write_report(sample.write_run(run, sample.training()))


def test_the_page_begins_with_the_verdict(path: Path) -> None:
    html = path.read_text(encoding="utf-8")
    assert path.name == "report.html"
    text = re.sub(r"<style>.*?</style>|<[^>]+>", "", html, flags=re.DOTALL)
    assert text.index("Isotropic noise wins") < text.index("Leak is the share of a record")
    assert text.index("Leak is the share") < text.index("Accuracy over rounds")
    assert Page(html).headings == HEADINGS
    assert len(Page(html).images) == 5 * 10 + 10
    check_self_contained(html)


def test_ids_are_unique_and_found(path: Path) -> None:
    html = path.read_text(encoding="utf-8")
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    used = set(re.findall(r'href="#([^"]+)"', html)) | set(re.findall(r"url\(#([^)]+)\)", html))
    assert used <= set(ids)


def test_a_fit(tmp_path: Path) -> None:
    html = write_report(sample.write_run(tmp_path, sample.fitting())).read_text(encoding="utf-8")
    expected = ["Fitting", "Pictures", "Learned selection", "Settings", "Provenance", "Words"]
    assert Page(html).headings[1:] == expected
    check_self_contained(html)


def test_a_release(tmp_path: Path) -> None:
    run = sample.write_run(tmp_path, sample.releasing(), with_pictures=False)
    html = write_report(run).read_text(encoding="utf-8")
    assert Page(html).headings[1:] == ["Released files", "Settings", "Provenance", "Words"]
    assert "train-00001-of-00002.parquet" in html


def test_training_on_releases(tmp_path: Path) -> None:
    released = {"records": 1365, "accuracy": sample.figure(0.93), "tested_on": "test records"}
    results = {**sample.frame("train"), "verdict": ["Fine."], "released": released}
    html = write_report(sample.write_run(tmp_path, results, False)).read_text(encoding="utf-8")
    assert "Trained on releases" in Page(html).headings
    assert "Clean records" not in html


def test_names_from_outside_are_escaped(tmp_path: Path) -> None:
    results = sample.fitting()
    results["data"]["name"] = "<script>alert(1)<|script>"
    results["data"]["classes"][0] = '"><b>'
    results["verdict"] = ["a < b & c"]
    html = write_report(sample.write_run(tmp_path, results)).read_text(encoding="utf-8")
    assert "<script" not in html
    assert "<b>" not in html
    assert "a &lt; b &amp; c" in html


def test_a_run_with_the_least(tmp_path: Path) -> None:
    results = sample.training()
    least = ("fraction", "clean_only", "with_released", "leak")
    results["rounds"] = [{key: results["rounds"][0][key] for key in least}]
    results["rounds"][0].update(with_released_unscreened=None, obfuscated_test=None)
    del results["baselines"], results["trade_off"]
    html = write_report(sample.write_run(tmp_path, results, False)).read_text(encoding="utf-8")
    assert "Baselines" not in Page(html).headings
    assert "Pictures" not in Page(html).headings


@pytest.mark.parametrize("content", [None, '{"schema": ', '{"schema": "sfumato.results/1"}'])
def test_results_that_cannot_be_shown(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "results.json").write_text(content)
    with pytest.raises(StoreError, match=r"results\.json"):
        write_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_the_page_opens_in_a_browser(path: Path, browser: str, tmp_path: Path) -> None:
    picture = tmp_path / "page.png"
    quiet = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
        "--disable-background-networking --disable-component-update --disable-sync "
        "--hide-scrollbars --window-size=1100,5000 --dump-dom"
    )
    own = [f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={picture}", path.as_uri()]
    command = [browser, *quiet.split(" "), *own]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    assert Page(done.stdout).headings == HEADINGS
    check_self_contained(done.stdout)
    with Image.open(picture) as seen:
        assert seen.size == (1100, 5000)
        assert len(seen.convert("RGB").getcolors(1_000_000) or []) > 100
