"""The coverage table of the documentation, from the rows that the tests hold.

python -m tests.coverage.table
"""

from __future__ import annotations

from pathlib import Path

from sfumato.testing.capability import CAPABILITIES
from tests.coverage.reasons import reason
from tests.coverage.rows import LAWS, ROWS, Row

PAGE = Path(__file__).parents[2] / "docs" / "coverage.md"
HEAD = f"""# What torch can do with each layer

Written by `python -m tests.coverage.table`; `tests/coverage` holds every cell: a ✓ runs, a number
raises, for the reason below. The four marks of a cell are the laws {", ".join(LAWS)}.

- compile: `torch.compile(fullgraph=True)`, fresh noise in every call, gradients;
- export: `torch.export`, and the program stays random;
- vmap: `torch.vmap(randomness="different")`, noise of its own in every row;
- bf16: parameters and inputs in bfloat16, finite samples and gradients;
- state dict: no tensor twice, and back through safetensors.

| layer | selection | {" | ".join(CAPABILITIES)} |
|---|---|{"---|" * len(CAPABILITIES)}
"""


def page() -> str:
    """The whole page."""
    notes: list[str] = []
    lines = [
        f"| {layer} | {selection} | "
        + " | ".join(_cell(layer, selection, each, notes) for each in CAPABILITIES)
        + " |"
        for layer, selection in dict.fromkeys((row.layer, row.selection) for row in ROWS)
    ]
    numbered = [f"{number}. {note}" for number, note in enumerate(notes, 1)]
    return HEAD + "\n".join([*lines, "", *numbered]) + "\n"


def _cell(layer: str, selection: str, capability: str, notes: list[str]) -> str:
    marks = []
    for law in LAWS:
        why = reason(Row(layer, law, selection), capability)
        if why is not None and why not in notes:
            notes.append(why)
        marks.append("✓" if why is None else str(notes.index(why) + 1))
    return " ".join(marks)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
