"""What all tests share: one thread, a restored environment, a data folder, run snippets."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
NO_BROWSER = "no browser is installed (looked for " + ", ".join(BROWSERS) + ")"

# A slow machine is not a failure, and a run that fails must fail again.
hypothesis.settings.register_profile("sfumato", deadline=None, derandomize=True)
hypothesis.settings.load_profile("sfumato")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--data-dir",
        type=Path,
        default=os.environ.get("SFUMATO_DATA"),
        help="folder with real pictures, one data set in hub layout per folder (or SFUMATO_DATA); "
        "tests that use them are left out without it",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Settle what libraries read when they are first imported."""
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["MPLBACKEND"] = "Agg"
    # Neither the network nor the user's cache has a part in a test.
    cache = tempfile.TemporaryDirectory(prefix="sfumato-tests-")
    config.add_cleanup(cache.cleanup)
    os.environ["HF_HOME"] = cache.name
    os.environ["HF_HUB_OFFLINE"] = "1"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs real pictures when there are none."""
    if config.getoption("--data-dir") is not None:
        return
    out = [item for item in items if "data_dir" in getattr(item, "fixturenames", ())]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if find_browser() is None:
        terminalreporter.section("no browser")
        terminalreporter.line(f"{NO_BROWSER}: the report was not opened in one")


def find_browser() -> str | None:
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@pytest.fixture(scope="session")
def browser() -> str:
    """The path of a Chromium that can run headless."""
    found = find_browser()
    if found is None:
        pytest.skip(NO_BROWSER)
    return found


@pytest.fixture(scope="session")
def data_dir(request: pytest.FixtureRequest) -> Path:
    """The folder of real pictures given by --data-dir or SFUMATO_DATA."""
    return Path(str(request.config.getoption("--data-dir"))).resolve(strict=True)


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Start from seed 0 on one thread; put back what a test may have changed."""
    import numpy as np
    import torch

    environ, folder = dict(os.environ), Path.cwd()
    states = random.getstate(), np.random.get_state()
    dtype, deterministic = torch.get_default_dtype(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        random.seed(0)
        np.random.seed(0)
        torch.manual_seed(0)
        yield
    torch.set_num_threads(1)
    torch.set_default_dtype(dtype)
    torch.use_deterministic_algorithms(deterministic)
    torch.set_grad_enabled(True)
    random.setstate(states[0])
    np.random.set_state(states[1])
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)


def enter_scratch(namespace: dict[str, Any]) -> None:
    """The snippets of one page share names and a folder of their own, as for a reader."""
    namespace["_home"], namespace["_scratch"] = Path.cwd(), tempfile.TemporaryDirectory()
    os.chdir(namespace["_scratch"].name)


def leave_scratch(namespace: dict[str, Any]) -> None:
    os.chdir(namespace["_home"])
    namespace["_scratch"].cleanup()


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser()],
    patterns=["README.md", "docs/*.md"],
    setup=enter_scratch,
    teardown=leave_scratch,
).pytest()
