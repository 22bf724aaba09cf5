"""Questions to annotators and their answers, in the formats of their tools.

Rows and columns count from 0 at the top left of the picture as it is shown. A pixel is a square of
side 1 and files hold its centre, `column + 0.5`, `row + 0.5`; a point that is read belongs to the
square it lies in.
"""

from sfumato.pixels.formats.base import Format as Format
from sfumato.pixels.formats.choose import format_named as format_named
from sfumato.pixels.formats.choose import format_of as format_of
from sfumato.pixels.formats.cvat import Cvat as Cvat
from sfumato.pixels.formats.label_studio import LabelStudio as LabelStudio
from sfumato.pixels.formats.model import FAILED as FAILED
from sfumato.pixels.formats.model import OPEN as OPEN
from sfumato.pixels.formats.model import Answer as Answer
from sfumato.pixels.formats.model import Legend as Legend
from sfumato.pixels.formats.model import Picture as Picture
from sfumato.pixels.formats.model import Sheet as Sheet
from sfumato.pixels.formats.model import Suggestion as Suggestion
from sfumato.pixels.formats.overlay import Overlay as Overlay
from sfumato.pixels.formats.table import Table as Table
