"""What a run writes names no folder of the machine it ran on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

from experiments.run import main
from tests.data.pets import write_split


def test_results_name_the_data_and_not_where_it_lies(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    pictures = [draw.integers(0, 255, (8, 8), dtype=np.uint8) for _ in range(120)]
    labels = [number % 2 for number in range(120)]
    write_split(tmp_path / "pictures", pictures, labels)
    config = {
        "data": "some/pictures",
        "seeds": [0],
        "setup": {
            "fraction": 0.2,
            "steps": 4,
            "clean_steps": 4,
            "attacked": 20,
            "decoder": {"steps": 0},
        },
        "training": [
            {"method": "isotropic", "mechanism": "isotropic", "grid": {"sigma": [0.5, 1.0]}}
        ],
        "inference": [],
    }
    (tmp_path / "tradeoff").mkdir()
    file = tmp_path / "tradeoff" / "here.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    words = [str(file), "--out", str(tmp_path / "run"), "--workers", "1"]
    assert main([*words, "--data", str(tmp_path / "pictures")]) == 0
    for name in ("here.json", "here.md"):
        text = file.with_name(name).read_text(encoding="utf-8")
        assert str(tmp_path) not in text
        assert "some/pictures" in text
