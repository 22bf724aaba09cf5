"""Noise laws: the mathematics, without modules and without state."""

from sfumato.noise.base import NoiseLaw as NoiseLaw
from sfumato.noise.base import Params as Params
from sfumato.noise.base import at_least_float32 as at_least_float32
from sfumato.noise.binomial import Binomial as Binomial
from sfumato.noise.gaussian import Gaussian as Gaussian
from sfumato.noise.laplace import Laplace as Laplace
from sfumato.noise.location_scale import LocationScale as LocationScale
from sfumato.noise.location_scale import raw_scale as raw_scale
from sfumato.noise.multinomial import Multinomial as Multinomial
from sfumato.noise.source import Source as Source
from sfumato.noise.source import source as source
