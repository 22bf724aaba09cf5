"""What can be proved of a release: (ε, δ), and bounds on reconstruction."""

from sfumato.privacy.certificate.certificate import Certificate as Certificate
from sfumato.privacy.certificate.certify import certify as certify
from sfumato.privacy.certificate.fisher import FisherBound as FisherBound
from sfumato.privacy.certificate.fisher import fisher_bound as fisher_bound
from sfumato.privacy.certificate.gaussian import gaussian_epsilon as gaussian_epsilon
from sfumato.privacy.certificate.gaussian import gaussian_sigma as gaussian_sigma
from sfumato.privacy.certificate.laplace import laplace_epsilon as laplace_epsilon
from sfumato.privacy.certificate.laplace import laplace_renyi as laplace_renyi
from sfumato.privacy.certificate.renyi import renyi_epsilon as renyi_epsilon
from sfumato.privacy.certificate.renyi import renyi_gaussian as renyi_gaussian
