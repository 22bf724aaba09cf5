"""Names of the attacks' files, and what is written once for all of them."""

from __future__ import annotations

import builtins
import pkgutil

from sfumato.obfuscation import denoiser
from sfumato.objectives import moments as fitted
from sfumato.objectives import within
from sfumato.privacy import attacks, knowledge
from sfumato.privacy.attacks import moments, prior, rows, summary
from sfumato.testing import attack


def test_no_file_has_the_name_of_a_builtin() -> None:
    # `from sfumato.privacy.attacks import *` brings the files along.
    files = {info.name for info in pkgutil.iter_modules(attacks.__path__)}
    assert {"linear", "posterior"} <= files
    assert not files & set(dir(builtins))


def test_class_means_are_made_in_one_place() -> None:
    for module in (knowledge, prior, rows, denoiser, attack):
        assert vars(module)["class_means"] is within.class_means


def test_laws_are_laid_bare_in_one_place() -> None:
    for module in (moments, summary):
        assert vars(module)["bare"] is fitted.bare
