"""`sfumato pixels`: where to look with a budget of k pixels per picture."""

from sfumato.cli.common.command import Group
from sfumato.cli.pixels import evaluate, ingest, suggest, train

COMMAND = Group(
    name="pixels",
    summary="find the few pixels per picture that are worth measuring or annotating",
    about=(
        "Learn which k pixels of a picture are worth buying (train), hold ways of choosing against "
        "each other (evaluate), ask annotators about pictures of your own (suggest), and take "
        "their answers back (ingest). Everything is scored on pixels that were not bought."
    ),
    commands=(train.COMMAND, evaluate.COMMAND, suggest.COMMAND, ingest.COMMAND),
)
