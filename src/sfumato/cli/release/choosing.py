"""Which records `sfumato release --share` lets go out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from sfumato.cli.common.models import check_fit, new_model
from sfumato.cli.common.settings import load_weights
from sfumato.cli.release.command import ReleaseOptions
from sfumato.data import Records, take
from sfumato.errors import SettingError
from sfumato.files import write_json
from sfumato.obfuscation import worth_releasing


def choose(options: ReleaseOptions, data: Dataset[Any], out: Path) -> Records:
    """The records worth releasing; their numbers go into `out`/chosen.json, which stays at home.

    Raises:
        SettingError: the choice needs a model, and its weights are not given.
        StoreError: the weights do not fit the model.
    """
    records = take(data, None)
    model = new_model(options.model, records, 0, "model")
    check_fit(options.model, model, records.inputs, records.num_classes)
    if options.weights is not None:
        load_weights(model, options.weights)
    elif options.policy != "random":
        raise SettingError(
            f"--policy {options.policy} needs the --weights of a model of the clean part; without "
            "one, --policy random"
        )
    chosen = worth_releasing(model, records, options.share, options.policy)
    write_json(
        out / "chosen.json",
        {"data": options.data, "split": options.split, "records": chosen.tolist()},
    )
    return records.subset(chosen)
