"""Removing one neuron at a time, with fine-tuning, until a budget is met."""

from sfumato.compression.pruning.budget import Budget as Budget
from sfumato.compression.pruning.loop import prune as prune
from sfumato.compression.pruning.pruned import Pruned as Pruned
from sfumato.compression.pruning.row import Row as Row
