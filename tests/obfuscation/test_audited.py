"""An obfuscator that nobody has audited says so when it is loaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import sfumato as sf
from sfumato.errors import UnauditedWarning


def test_whoever_loads_what_was_not_audited_is_told(tmp_path: Path) -> None:
    saved = sf.obfuscation.isotropic((1, 4, 4), 1.0).save(tmp_path / "obfuscator")
    with pytest.warns(UnauditedWarning, match="saved without an audit.*sfumato audit") as caught:
        loaded = sf.Obfuscator.load(saved)
    assert caught[0].filename == __file__
    card = saved / "privacy_card.json"
    card.write_text(json.dumps({"obfuscator": loaded.digest()}), encoding="utf-8")
    sf.Obfuscator.load(saved)  # warnings are errors
    for content in ('{"obfuscator": "0"}', '{"obfuscator": 3}', "{}", "[]", "{"):
        card.write_text(content, encoding="utf-8")
        with pytest.warns(UnauditedWarning, match="changed after its audit"):
            sf.Obfuscator.load(saved)
        assert sf.Obfuscator.load(saved, unaudited_ok=True).digest() == loaded.digest()
