"""Benchmarks against plain torch layers and peers, as ratios within one run."""

from sfumato.bench.case import Setting as Setting
from sfumato.bench.layers import layer_cases as layer_cases
from sfumato.bench.layers import run_layers as run_layers
from sfumato.bench.table import headline as headline
from sfumato.bench.table import table as table
