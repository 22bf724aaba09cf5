"""One self-contained page per run, and the schema of the results it shows."""

from sfumato.errors import MissingDependency

try:
    import jinja2
    import jsonschema
    import matplotlib
    import PIL
except ImportError as error:
    raise MissingDependency(
        f'the report needs {error.name}, which is not installed: pip install "sfumato[report]"'
    ) from error

from sfumato.report.card.page import card_schema as card_schema
from sfumato.report.card.page import validate_card as validate_card
from sfumato.report.card.page import write_card as write_card
from sfumato.report.defend.page import validate_defend as validate_defend
from sfumato.report.defend.page import write_defend as write_defend
from sfumato.report.denoise.page import validate_denoise as validate_denoise
from sfumato.report.denoise.page import write_denoise as write_denoise
from sfumato.report.obfuscation.page import write_report as write_report
from sfumato.report.obfuscation.schema import SCHEMA as SCHEMA
from sfumato.report.obfuscation.schema import validate as validate
from sfumato.report.pixels.page import validate_pixels as validate_pixels
from sfumato.report.pixels.page import write_pixels as write_pixels
from sfumato.report.pixels.rounds.page import validate_rounds as validate_rounds
from sfumato.report.pixels.rounds.page import write_rounds as write_rounds
from sfumato.report.prune.page import validate_prune as validate_prune
from sfumato.report.prune.page import write_prune as write_prune
