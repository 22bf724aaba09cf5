"""Rounds of buying pixels: what was asked, what came back, and what is known by now."""

from sfumato.pixels.rounds.folder import PictureFolder as PictureFolder
from sfumato.pixels.rounds.folder import find_pictures as find_pictures
from sfumato.pixels.rounds.known import Known as Known
from sfumato.pixels.rounds.known import SparseLabels as SparseLabels
from sfumato.pixels.rounds.legend import legend_of as legend_of
from sfumato.pixels.rounds.round import Budget as Budget
from sfumato.pixels.rounds.round import Round as Round
from sfumato.pixels.rounds.rounds import Ingested as Ingested
from sfumato.pixels.rounds.rounds import Rounds as Rounds
from sfumato.pixels.rounds.steps import Suggested as Suggested
from sfumato.pixels.rounds.steps import ingest as ingest
from sfumato.pixels.rounds.steps import suggest as suggest
