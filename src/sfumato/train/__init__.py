"""The plain training loop, its recipe and seeds, resumable cells, provenance."""

from sfumato.train.cells import Cell as Cell
from sfumato.train.cells import run_cells as run_cells
from sfumato.train.loop import Progress as Progress
from sfumato.train.loop import accuracy as accuracy
from sfumato.train.loop import predictions as predictions
from sfumato.train.loop import silent as silent
from sfumato.train.loop import train_classifier as train_classifier
from sfumato.train.network import small_cnn as small_cnn
from sfumato.train.recipe import Recipe as Recipe
from sfumato.train.run import provenance as provenance
from sfumato.train.seed import derive as derive
from sfumato.train.seed import generator as generator
from sfumato.train.seed import seeded as seeded
