"""Pictures with targets: folders in hub layout, embedded digits, any torch data set."""

from sfumato.pixels.scenes.dataset import from_dataset as from_dataset
from sfumato.pixels.scenes.hub import open_scenes as open_scenes
from sfumato.pixels.scenes.hub import scene_splits as scene_splits
from sfumato.pixels.scenes.inpainting import digit_scenes as digit_scenes
from sfumato.pixels.scenes.inpainting import inpainting as inpainting
from sfumato.pixels.scenes.scenes import Scenes as Scenes
