"""Training by someone who has the releases and not the records."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from safetensors.torch import save_model

from sfumato.cli.common.folder import RunFolder
from sfumato.cli.common.models import check_model, new_model
from sfumato.cli.common.progress import Display
from sfumato.cli.common.settings import override
from sfumato.cli.train.command import TrainOptions
from sfumato.data import Records, load, splits, take
from sfumato.errors import DataError
from sfumato.files import atomic, prepare_folder
from sfumato.obfuscation import Plan
from sfumato.obfuscation.figures import figure
from sfumato.train import accuracy, derive, train_classifier

SHORTCUT = (
    "These releases were made under their true labels, which a model can read off the noise "
    "instead of the record: what it is worth on other records only --test can tell."
)


@final
@dataclass(frozen=True)
class Material:
    """What there is to train and to test on; `is_released` marks the releases, `[N]`."""

    inputs: torch.Tensor
    labels: torch.Tensor
    is_released: torch.Tensor
    test: Records
    tested_on: str


def train_on_releases(options: TrainOptions, folder: RunFolder) -> list[str]:
    """Train with every seed, keep the models, and write the report.

    Raises:
        StoreError: the released folder is damaged.
        DataError: released, clean and test records do not fit each other.
    """
    plan = override(Plan(seeds=tuple(range(options.seeds))), options.plan)
    material = gather_material(options)
    check_model(options.model, material.test)
    with Display(folder.path) as display:
        scores = [
            _train(options.model, plan, material, seed, folder.path, display) for seed in plan.seeds
        ]
    reached = figure(scores)
    releases = int(material.is_released.sum())
    verdict = [
        f"Trained on {releases} releases and {len(material.labels) - releases} clean records, the "
        f"model reaches {100 * reached['mean']:.1f} % on {material.tested_on}."
    ]
    if options.test is None:
        verdict.append(SHORTCUT)
    data = material.test
    report = folder.finish(
        {
            "data": {
                "name": str(options.released),
                "train": len(material.labels),
                "test": len(data),
                "shape": list(data.shape),
                "classes": list(data.classes),
            },
            "seeds": list(plan.seeds),
            "verdict": verdict,
            "released": {
                "records": releases,
                "clean_records": len(material.labels) - releases,
                "tested_on": material.tested_on,
                "accuracy": reached,
            },
        }
    )
    return [*verdict, f"models: {folder.path / 'models'}", f"report: {report}"]


def gather_material(options: TrainOptions) -> Material:
    """Read the releases, the clean records and the test records, and check that they fit."""
    folder = Path(str(options.released))
    if (folder / "released").is_dir():  # the folder of a run, with the releases inside
        folder = folder / "released"
    if options.test is None:
        released, test = (take(part, None) for part in splits(folder))
        tested_on = "held-out releases"
    else:
        released, test = take(load(folder), None), take(load(options.test, "test"), None)
        tested_on = "clean test records"
    parts, marks = [released], [torch.ones(len(released), dtype=torch.bool)]
    if options.clean is not None:
        parts.append(take(load(options.clean), None))
        marks.append(torch.zeros(len(parts[-1]), dtype=torch.bool))
    for other in (*parts[1:], test):
        _check_fit(released, other)
    return Material(
        torch.cat([part.inputs for part in parts]),
        torch.cat([part.labels for part in parts]),
        torch.cat(marks),
        test,
        tested_on,
    )


def _check_fit(released: Records, other: Records) -> None:
    if other.shape != released.shape:
        raise DataError(
            f"{other.name}: its records are {tuple(other.shape)}, the releases "
            f"{tuple(released.shape)}"
        )
    if other.classes != released.classes:
        raise DataError(
            f"{other.name}: its classes {', '.join(other.classes)} are not those of the releases, "
            f"{', '.join(released.classes)}"
        )


def _train(
    model_name: str | None, plan: Plan, material: Material, seed: int, out: Path, display: Display
) -> float:
    model = new_model(model_name, material.test, seed, "model")
    train_classifier(
        model,
        material.inputs,
        material.labels,
        plan.learner,
        seed=derive(seed, "released"),
        augment=lambda x, index, behind: plan.screening.at(behind)(x, material.is_released[index]),
        checkpoint=prepare_folder(out / "state") / f"seed-{seed}.checkpoint",
        progress=display.named(f"seed-{seed}", "training"),
    )
    with atomic(prepare_folder(out / "models") / f"seed-{seed}.safetensors") as part:
        save_model(model, str(part))
    score = accuracy(model, material.test.inputs, material.test.labels)
    display.on_done(f"seed-{seed}", {"accuracy": score})
    return score
