"""`sfumato fit`: an obfuscator for your records and your model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final

from sfumato.cli.command import Command
from sfumato.cli.folder import RunFolder

if TYPE_CHECKING:
    from torch import nn

    from sfumato.cli.progress import Display
    from sfumato.data import Records


@final
@dataclass(frozen=True)
class FitOptions:
    """Fit an obfuscator against a frozen model, and measure what it leaks.

    Step 1 fits the kernels under the true labels, step 2 the soft selection for records whose
    label is unknown. The obfuscator is written to OUT/obfuscator.
    """

    data: str = "digits"
    """A built-in name (digits), a folder in hub layout, or a hub id."""
    out: str | None = None
    """Folder of the run; an interrupted run in it goes on. By default runs/fit-TIME."""
    model: str | None = None
    """module:factory, called with the shape of a record and the number of classes, returns the
    model; by default a small convolutional network."""
    weights: str | None = None
    """Trained weights of the model, a safetensors file; without it the model is first trained."""
    limit: int | None = None
    """Take at most so many records for training, and as many for testing."""
    seed: int = 0
    """Seed of initial weights, order of records and noise."""
    knob: float | None = None
    """Weight of the obfuscation objective: more hides more and costs accuracy. By default that of
    sfumato.obfuscation.Plan."""
    objective: Literal["information", "max_entropy"] = "information"
    """What the knob weighs."""
    kind: Literal["conv", "additive"] = "conv"
    """Location and scale: convolutions of the record, or free values for each of its elements."""
    sigma: float | None = None
    """Scale of the noise that the fit starts from, in units of the records. By default that of
    sfumato.obfuscation.Plan."""
    epochs: int | None = None
    """Epochs of step 1; by default those of sfumato.FitSettings."""
    labels_known: bool = False
    """Labels will be known when records are served: leave out step 2."""


def run(options: FitOptions, folder: RunFolder | None) -> list[str]:
    """Fit, save, attack, and write the report."""
    from sfumato.cli.progress import Display
    from sfumato.cli.settings import open_data
    from sfumato.obfuscation.figures import figure

    assert folder is not None
    out = folder.path
    train, test = open_data(options.data, options.limit)
    with Display(out) as display:
        model = _trained(options, train, out, display)
        history = _fit(options, model, train, out, display)
        leak = _leak(options, train, test, out)
    report = folder.finish(
        {
            "data": {
                "name": options.data,
                "train": len(train),
                "test": len(test),
                "shape": list(train.shape),
                "classes": list(train.classes),
            },
            "seeds": [options.seed],
            "history": history,
            "leak": figure([leak]),
        }
    )
    return [f"leak: {leak:.3f}", f"obfuscator: {out / 'obfuscator'}", f"report: {report}"]


def _trained(options: FitOptions, train: Records, out: Path, display: Display) -> nn.Module:
    """The model to fit against: with the given weights, or trained now."""
    from sfumato.cli.settings import model_factory
    from sfumato.files import prepare_folder
    from sfumato.train import Recipe, derive, seeded, train_classifier

    with seeded(options.seed, "model"):
        model = model_factory(options.model)(train.shape, len(train.classes))
    if options.weights is not None:
        _load_weights(model, Path(options.weights))
        return model
    train_classifier(
        model,
        train.inputs,
        train.labels,
        Recipe(),
        seed=derive(options.seed, "model"),
        checkpoint=prepare_folder(out / "state") / "model.checkpoint",
        progress=display.named("model", "training"),
    )
    return model


def _load_weights(model: nn.Module, path: Path) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import load_model

    from sfumato.errors import StoreError

    try:
        load_model(model, path)
    except (SafetensorError, RuntimeError, OSError) as error:
        raise StoreError(f"--weights {path} cannot be loaded into the model: {error}") from error


def _fit(
    options: FitOptions, model: nn.Module, train: Records, out: Path, display: Display
) -> list[dict[str, Any]]:
    import sfumato as sf
    from sfumato.files import prepare_folder
    from sfumato.obfuscation import FitSettings, Plan, conditional

    plan, settings = Plan(), FitSettings()
    if options.epochs is not None:
        kernels = replace(settings.kernels, epochs=options.epochs, min_steps=0)
        settings = replace(settings, kernels=kernels)
    sigma = plan.sigma if options.sigma is None else options.sigma
    obfuscator = conditional(train.shape, len(train.classes), sigma, kind=options.kind)
    state = prepare_folder(out / "state")
    history = History(state / "history.json")
    shown = display.named("obfuscator", "fitting")

    def progress(event: dict[str, Any]) -> None:
        history.add(event)
        shown(event)

    sf.fit(
        obfuscator,
        model,
        train,
        options.objective,
        plan.knob if options.knob is None else options.knob,
        settings=settings,
        labels_known=options.labels_known,
        seed=options.seed,
        checkpoint=state / "fit.checkpoint",
        progress=progress,
    )
    obfuscator.save(out / "obfuscator")
    return history.entries


def _leak(options: FitOptions, train: Records, test: Records, out: Path) -> float:
    import sfumato as sf
    from sfumato.obfuscation.pictures import save_pictures
    from sfumato.privacy import measure_leak

    obfuscator = sf.Obfuscator.load(out / "obfuscator")  # attack what was saved, not what was meant
    known, target = (train.inputs, train.labels), (test.inputs, test.labels)
    leak = measure_leak(obfuscator, known, target, len(train.classes), seed=options.seed)
    save_pictures(out / "pictures.safetensors", obfuscator, leak, *target)
    return leak.strongest


@final
class History:
    """The epochs of a fit on disk, so that one that was interrupted shows all of them.

    Args:
        path: Where they are kept.
    """

    def __init__(self, path: Path) -> None:
        from sfumato.files import read_json

        self._path = path
        self.entries: list[dict[str, Any]] = read_json(path) if path.exists() else []

    def add(self, event: dict[str, Any]) -> None:
        """Keep an epoch; counting from 1 again begins the next step."""
        from sfumato.files import write_json

        step = 1
        if self.entries:
            last = self.entries[-1]
            step = last["step"] + (event["epoch"] <= last["epoch"])
        kept = {k: v for k, v in event.items() if k != "epochs"}
        self.entries.append({"step": step, **kept})
        write_json(self._path, self.entries)


COMMAND = Command(
    name="fit",
    summary="fit an obfuscator and measure its leak",
    options=FitOptions,
    run=run,
    examples=(
        "sfumato fit --data path/to/mnist --limit 5000 --knob 2",
        "sfumato fit --data path/to/pictures --model models:make --weights model.safetensors",
    ),
)
