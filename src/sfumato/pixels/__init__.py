"""Where to look: which few pixels of a picture to measure or annotate (spec 5).

`selectors` choose k pixels from the picture and the labels bought so far; `predictors` turn picture
and bought labels into a prediction for every pixel; `training` fits both together; `evaluation`
scores them on what was not bought; `rounds` and `formats` put people in between.
"""

from sfumato.pixels import evaluation as evaluation
from sfumato.pixels import formats as formats
from sfumato.pixels import predictors as predictors
from sfumato.pixels import rounds as rounds
from sfumato.pixels import scenes as scenes
from sfumato.pixels import schedules as schedules
from sfumato.pixels import selectors as selectors
from sfumato.pixels import tasks as tasks
from sfumato.pixels import training as training
from sfumato.pixels.evaluation import evaluate as evaluate
from sfumato.pixels.rounds import ingest as ingest
from sfumato.pixels.rounds import suggest as suggest
from sfumato.pixels.scenes import Scenes as Scenes
from sfumato.pixels.scenes import open_scenes as open_scenes
from sfumato.pixels.scenes import scene_splits as scene_splits
from sfumato.pixels.training import GainSettings as GainSettings
from sfumato.pixels.training import PixelRecipe as PixelRecipe
from sfumato.pixels.training import train as train
