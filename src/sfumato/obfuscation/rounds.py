"""One round for one seed: NN-p -> SL-p -> release the rest -> screening -> NN'-p (spec 3 §4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sfumato.data.order import stratified_order
from sfumato.data.records import Records
from sfumato.errors import StoreError
from sfumato.files import atomic, prepare_folder, read_json, write_json
from sfumato.obfuscation.fit import fit
from sfumato.obfuscation.obfuscator import Obfuscator
from sfumato.obfuscation.pictures import save_pictures
from sfumato.obfuscation.plan import Job
from sfumato.obfuscation.screening import Screening
from sfumato.obfuscation.start import start
from sfumato.privacy import DecoderSettings, Leak, Mechanism, Served, measure_leak
from sfumato.train import Progress, Recipe, accuracy, derive, seeded, train_classifier


def state_folder(job: Job, fraction: float, seed: int) -> Path:
    """Where the networks, the obfuscator and the releases of a round lie."""
    return prepare_folder(job.folder / "state" / f"round-{fraction:g}" / f"seed-{seed}")


def reporter(job: Job, cell: str, phase: str) -> Progress:
    """A progress that keeps the latest event of a cell in a file, for a display to read."""
    path = prepare_folder(job.folder / "progress") / f"{cell.replace('/', '.')}.json"

    def report(event: dict[str, Any]) -> None:
        write_json(path, {"cell": cell, "phase": phase, **event})

    return report


def checkpoint_file(job: Job, training: str) -> Path:
    """Where a training keeps its state until the cell that it belongs to is done."""
    folder = prepare_folder(job.folder / "state" / "checkpoints")
    return folder / f"{training.replace('/', '.')}.checkpoint"


def clean_part(job: Job, fraction: float, seed: int) -> Tensor:
    """Which training records are clean: nested, the parts of later rounds hold the earlier ones."""
    order = stratified_order(torch.from_numpy(job.train[1]), seed)
    return order[: max(1, round(fraction * len(order)))]


def clean_only(job: Job, fraction: float, seed: int) -> dict[str, float]:
    """Step 1: train NN-p on the clean part and keep it."""
    inputs, labels = job.records()
    part, folder = clean_part(job, fraction, seed), state_folder(job, fraction, seed)
    model = job.new_model(seed)
    train_classifier(
        model,
        inputs[part],
        labels[part],
        job.plan.learner,
        seed=derive(seed, "clean", fraction),
        checkpoint=folder / "clean.checkpoint",
        progress=reporter(job, f"clean-{fraction:g}/seed-{seed}", f"NN-{100 * fraction:g}"),
    )
    _save_model(model, folder / "clean.safetensors")
    return {"accuracy": accuracy(model, *job.test_records())}


def clean_model(job: Job, fraction: float, seed: int) -> nn.Module:
    """The NN-p that `clean_only` kept."""
    model = job.new_model(seed)
    model.load_state_dict(_tensors(state_folder(job, fraction, seed) / "clean.safetensors"))
    return model


def obfuscated_round(job: Job, fraction: float, seed: int) -> dict[str, Any]:
    """Steps 2 to 4: fit SL-p, release the rest, resume NN-p on clean and released records."""
    plan, name = job.plan, f"round-{fraction:g}/seed-{seed}"
    obfuscator = _fitted(job, fraction, seed, name)
    known = _releasing(job, fraction, seed, obfuscator)
    values, released = _training_set(job, fraction, seed, obfuscator)
    figures: dict[str, Any] = {"releases": len(known)}
    for key, screened in (("with_released", True), ("with_released_unscreened", False)):
        model = clean_model(job, fraction, seed)
        screening = plan.screening if screened else None
        resume(job, model, values, released, screening, f"{name}/{key}", (seed, fraction, key))
        figures[key] = accuracy(model, *job.test_records())
        if screened:
            figures["obfuscated_test"] = _on_obfuscated(job, model, obfuscator, seed)
            # The noise that the model was trained on, which may be that of the first round.
            figures["constant_image"] = constant_image(job, model, known[-1], seed)
            _save_model(model, state_folder(job, fraction, seed) / "released.safetensors")
    figures |= _leak(job, fraction, seed, known)
    figures["served_leak"] = _served_leak(job, obfuscator, seed, name)
    for key in ("with_released", "with_released_unscreened"):
        checkpoint_file(job, f"{name}/{key}").unlink(missing_ok=True)
    return figures


def resume(
    job: Job,
    model: nn.Module,
    values: Tensor,
    released: Tensor,
    screening: Screening | None,
    name: str,
    purpose: tuple[Any, ...],
) -> None:
    """Step 4: go on training NN-p on the records as they are now, clean or released."""
    labels = torch.from_numpy(job.train[1])
    go_on(job, model, (values, labels), released, screening, name, purpose)


def go_on(
    job: Job,
    model: nn.Module,
    material: tuple[Tensor, Tensor],
    released: Tensor,
    screening: Screening | None,
    name: str,
    purpose: tuple[Any, ...],
    learner: Recipe | None = None,
) -> None:
    """Go on training NN-p on any records and labels, screened where they are releases."""

    def screen(x: Tensor, index: Tensor, behind: float) -> Tensor:
        assert screening is not None
        return screening.at(behind)(x, released[index])

    train_classifier(
        model,
        *material,
        learner or job.plan.learner,
        seed=derive(*purpose),
        augment=None if screening is None else screen,
        checkpoint=checkpoint_file(job, name),
        progress=reporter(job, name.rsplit("/", 1)[0], name.rsplit("/", 1)[1]),
    )


def attack(
    job: Job,
    known: Sequence[Mechanism],
    seed: int,
    settings: DecoderSettings | None = None,
    *,
    cell: str,
) -> Leak:
    """The leak of the releases that exist of a record; the training records are the attacker's."""
    target = job.test_records(job.plan.attacked)
    settings = settings or job.plan.decoder
    return measure_leak(
        known,
        job.records(),
        target,
        job.classes,
        settings=settings,
        seed=seed,
        progress=reporter(job, cell, "attacker"),
    )


@torch.no_grad()
def release_all(obfuscator: Obfuscator, inputs: Tensor, labels: Tensor, *seed: object) -> Tensor:
    """One release of each record, seeded, in batches."""
    with seeded("release", *seed):
        batches = zip(inputs.split(1024), labels.split(1024), strict=True)
        return torch.cat([obfuscator.release(x, c) for x, c in batches])


def constant_image(job: Job, model: nn.Module, obfuscator: Obfuscator, seed: int) -> float:
    """The constant-image test: how often the model says the label of the noise, not the picture.

    The same records are released under every label but their own. Chance is about
    (1 - accuracy) / (C - 1); far above it, the model reads the class off the noise.
    """
    inputs, labels = job.test_records(200)
    hits, count = 0.0, 0
    for c in range(job.classes):
        other = inputs[labels != c]
        if len(other):
            told = torch.full((len(other),), c)
            shown = release_all(obfuscator, other, told, seed, "constant", c)
            hits += accuracy(model, shown, told) * len(other)
            count += len(other)
    return hits / max(1, count)


def _fitted(job: Job, fraction: float, seed: int, name: str) -> Obfuscator:
    plan, folder = job.plan, state_folder(job, fraction, seed)
    if (folder / "obfuscator" / "obfuscator.json").exists():
        return Obfuscator.load(folder / "obfuscator", unaudited_ok=True)
    part, (inputs, labels) = clean_part(job, fraction, seed), job.records()
    names = tuple(str(c) for c in range(job.classes))
    obfuscator = start(plan.kind, job.shape, job.classes, plan.sigma, bound=plan.bound)
    scales_alone = plan.kind == "scales"
    fit(
        obfuscator,
        clean_model(job, fraction, seed),
        Records(inputs[part], labels[part], names, "clean part"),
        plan.objective,
        plan.knob,
        settings=replace(plan.fit, location="identity") if scales_alone else plan.fit,
        seed=derive(seed, "fit", fraction),
        checkpoint=folder / "fit.checkpoint",
        progress=reporter(job, name, f"SL-{100 * fraction:g}"),
    )
    obfuscator.save(folder / "obfuscator")
    return obfuscator


def _releasing(job: Job, fraction: float, seed: int, own: Obfuscator) -> list[Obfuscator]:
    """The obfuscators of which each record that is not clean has one release."""
    before = [p for p in job.plan.fractions if p < fraction]
    if not before:
        return [own]
    loaded = (state_folder(job, p, seed) / "obfuscator" for p in before)
    first = [Obfuscator.load(path, unaudited_ok=True) for path in loaded]
    return [*first, own] if job.plan.rerelease else first[:1]


def _training_set(job: Job, fraction: float, seed: int, own: Obfuscator) -> tuple[Tensor, Tensor]:
    """Clean records where they are clean, the latest release elsewhere, and which are releases.

    Releases are kept on disk: a record released in an earlier round keeps its release.
    """
    inputs, labels = job.records()
    released = torch.ones(len(inputs), dtype=torch.bool)
    released[clean_part(job, fraction, seed)] = False
    source = fraction if job.plan.rerelease else job.plan.fractions[0]
    path = state_folder(job, source, seed) / "release.safetensors"
    if not path.exists():
        rest = released.nonzero().flatten()
        values = release_all(own, inputs[rest], labels[rest], seed, fraction)
        with atomic(path) as part:
            save_file({"index": rest, "values": values}, part)
    kept, values = _tensors(path), inputs.clone()
    values[kept["index"]] = kept["values"]
    values[~released] = inputs[~released]
    return values, released


def _on_obfuscated(job: Job, model: nn.Module, obfuscator: Obfuscator, seed: int) -> float:
    inputs, labels = job.test_records()
    with torch.no_grad(), seeded("serve", seed):
        shown = torch.cat([obfuscator(x) for x in inputs.split(1024)])
    return accuracy(model, shown, labels)


def _leak(job: Job, fraction: float, seed: int, known: list[Obfuscator]) -> dict[str, float]:
    """The leak of the releases that exist; kept, since later rounds may have no other ones."""
    source = fraction if job.plan.rerelease else job.plan.fractions[0]
    path = state_folder(job, source, seed) / "leak.json"
    if path.exists():
        return read_json(path)
    leak = attack(job, known, seed, cell=f"round-{fraction:g}/seed-{seed}")
    if seed == job.plan.seeds[0] and fraction == job.plan.fractions[0]:
        save_pictures(job.folder / "pictures.safetensors", known[0], leak, *job.test_records())
        known[0].save(job.folder / "obfuscator")
    figures = {
        "leak": leak.strongest,
        "leak_linear": leak.linear,
        "leak_decoder": leak.network,
        "decoder_steps": leak.steps,
    }
    write_json(path, figures)
    return figures


def _served_leak(job: Job, obfuscator: Obfuscator, seed: int, cell: str) -> float:
    """The leak of records served under the learned selection, against linear decoders."""
    linear = replace(job.plan.decoder, steps=0)
    return attack(job, [Served(obfuscator)], seed, linear, cell=cell).linear


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise StoreError(
            f"{path} is missing or damaged ({error}): run again with another --out"
        ) from error


def _save_model(model: nn.Module, path: Path) -> None:
    with atomic(path) as part:
        save_file({k: v.contiguous() for k, v in model.state_dict().items()}, part)
