"""The plain training loop, its recipe and seeds, resumable cells, provenance."""

from sfumato.train.cells import Cell as Cell
from sfumato.train.cells import run_cells as run_cells
from sfumato.train.entropy import MaxEntropyLoss as MaxEntropyLoss
from sfumato.train.loop import Batch as Batch
from sfumato.train.loop import BatchLoss as BatchLoss
from sfumato.train.loop import Progress as Progress
from sfumato.train.loop import accuracy as accuracy
from sfumato.train.loop import cross_entropy as cross_entropy
from sfumato.train.loop import predictions as predictions
from sfumato.train.loop import silent as silent
from sfumato.train.loop import train_classifier as train_classifier
from sfumato.train.networks import lenet5 as lenet5
from sfumato.train.networks import mlp as mlp
from sfumato.train.networks import small_cnn as small_cnn
from sfumato.train.networks import vgg16 as vgg16
from sfumato.train.networks import vgg_convolutional as vgg_convolutional
from sfumato.train.recipe import Recipe as Recipe
from sfumato.train.run import provenance as provenance
from sfumato.train.seed import derive as derive
from sfumato.train.seed import generator as generator
from sfumato.train.seed import seeded as seeded
