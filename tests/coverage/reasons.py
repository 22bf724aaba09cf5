"""Why a cell of the coverage table is not ticked. Every reason is held by a test: it must raise."""

from __future__ import annotations

from tests.coverage.rows import Row

NO_LOCATION = "additive noise moves a location, and the law has none: the constructor says so"
RNN_COMPILE = (
    "torch's compiler refuses LSTM and GRU, plain ones too (`torch._dynamo.config.allow_rnn`)"
)
RNN_VMAP = "torch has no batching rule for its fused LSTM and GRU, plain ones too"


RAISED = {
    NO_LOCATION: "needs a law with a location",
    RNN_COMPILE: "does not support RNN, GRU, or LSTM",
    RNN_VMAP: "Batching rule not implemented",
}
"""What the message of each says."""


def reason(row: Row, capability: str) -> str | None:
    """Why `row` cannot do it; None where it can."""
    if "AdditiveNoise" in row.layer and row.law in ("Binomial", "Multinomial"):
        return NO_LOCATION
    if "LSTM" in row.layer or "GRU" in row.layer:
        return {"compile": RNN_COMPILE, "vmap": RNN_VMAP}.get(capability)
    return None
