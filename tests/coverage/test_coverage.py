"""Every cell of the coverage table: it runs, or it raises for the stated reason."""

from __future__ import annotations

import pytest
import torch

from sfumato.testing.capability import CAPABILITIES
from tests.coverage.reasons import RAISED, reason
from tests.coverage.rows import ROWS, Row
from tests.coverage.table import PAGE, page

pytestmark = [
    # torch's own remarks about exporting an LSTM and about inductor's import
    pytest.mark.filterwarnings("ignore:The tensor attributes:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning"),
]


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_cell(row: Row, capability: str) -> None:
    torch.manual_seed(0)
    why = reason(row, capability)
    if why is None:
        CAPABILITIES[capability](row.make(), row.arguments())
        return
    with pytest.raises(Exception, match=RAISED[why]):
        CAPABILITIES[capability](row.make(), row.arguments())


def test_the_page_is_the_one_that_the_tests_hold() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tests.coverage.table"
