"""Pixel-wise tasks: what is predicted, how labels are shown, how predictions score."""

from sfumato.pixels.tasks.base import Task as Task
from sfumato.pixels.tasks.base import Weigh as Weigh
from sfumato.pixels.tasks.depth import Depth as Depth
from sfumato.pixels.tasks.named import task_from as task_from
from sfumato.pixels.tasks.regression import Regression as Regression
from sfumato.pixels.tasks.reveal import reveal as reveal
from sfumato.pixels.tasks.segmentation import Segmentation as Segmentation
