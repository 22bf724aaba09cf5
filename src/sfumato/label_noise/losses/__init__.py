"""Losses that doubt the labels, and the matrix that says how labels are mistaken."""

from sfumato.label_noise.losses.bootstrap_hard import BootstrapHard as BootstrapHard
from sfumato.label_noise.losses.bootstrap_soft import BootstrapSoft as BootstrapSoft
from sfumato.label_noise.losses.forward import Corrected as Corrected
from sfumato.label_noise.losses.forward import Forward as Forward
from sfumato.label_noise.losses.matrix import count_matrix as count_matrix
from sfumato.label_noise.losses.matrix import estimate_matrix as estimate_matrix
