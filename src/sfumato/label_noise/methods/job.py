"""One training with wrong labels: the data, the recipe, and stages that resume."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, final

from torch import Tensor, nn

from sfumato.errors import SettingError, StoreError
from sfumato.files import prepare_folder, read_json, write_json
from sfumato.label_noise.checks import fingerprint
from sfumato.label_noise.outputs import check_takes
from sfumato.train import BatchLoss, Progress, Recipe, derive, seeded, silent, train_classifier
from sfumato.train.identity import tag_of

MakeNetwork = Callable[[], nn.Module]
Losses = list[float | None]


@final
@dataclass(frozen=True, eq=False)
class Job:
    """What a method trains on, and how its stages are run.

    Args:
        make: makes a new network; called once per stage with its weights' seed set, and once more
            to tell a folder of another network.
        inputs: records `[N, ...]`.
        labels: as given, `[N]`.
        recipe: of every stage.
        seed: of this training.
        layers: the layers that are changed; None for all hidden ones.
        folder: where the stages keep their checkpoints; None for none.
        progress: called after every epoch with stage, epoch, epochs and loss.
        losses: the mean loss of each epoch, stage by stage; filled as stages are run. None where
            the process was killed after an epoch and before its loss was noted.

    Raises:
        SettingError: `make` is a network, or nothing that can be called.
    """

    make: MakeNetwork
    inputs: Tensor
    labels: Tensor
    recipe: Recipe
    seed: int = 0
    layers: Sequence[str] | None = None
    folder: Path | None = None
    progress: Progress = silent
    losses: dict[str, Losses] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.make, nn.Module) or not callable(self.make):
            raise SettingError(
                f"make must be a function that makes the network, not a {type(self.make).__name__}:"
                " every training begins with a new one; give for example lambda: MyNetwork()"
            )

    def _made(self) -> nn.Module:
        made = self.make()
        if not isinstance(made, nn.Module):
            raise SettingError(f"make must return an nn.Module, not {type(made).__name__}")
        return made

    def network(self, change: Callable[[nn.Module, Sequence[str] | None], nn.Module]) -> nn.Module:
        """A new network, changed; equal seeds give equal weights before the change."""
        with seeded(self.seed, "network"):
            return change(self._made(), self.layers)

    def train(
        self,
        stage: str,
        model: nn.Module,
        loss: BatchLoss,
        kept: Tensor | None = None,
    ) -> nn.Module:
        """Train one stage in place, or go on with it where it was interrupted.

        Args:
            stage: a name of its own, fit for a file.
            model: as `network` gives it.
            loss: of a batch.
            kept: record numbers to train on; None for all.

        Returns:
            The model, trained to the last epoch.

        Raises:
            DataError: the loss became NaN or infinite.
            SettingError: the network does not take the records, or the logits do not fit the
                labels.
            StoreError: a checkpoint is damaged or of another run.
        """
        check_takes(model, self.inputs)
        checkpoint = None if self.folder is None else self.folder / f"{stage}.pt"
        notes = None if self.folder is None else self.folder / f"{stage}.losses.json"
        losses = self.losses[stage] = _noted(checkpoint, notes)

        def tell(event: dict[str, Any]) -> None:
            _pad(losses, event["epoch"] - 1)
            losses.append(event["loss"])
            if notes is not None:
                write_json(notes, losses)
            self.progress({"stage": stage, **event})

        inputs = self.inputs if kept is None else self.inputs[kept]
        train_classifier(
            model,
            inputs,
            self.labels if kept is None else self.labels[kept],
            self.recipe,
            seed=derive(self.seed, "stage", stage),
            loss=loss,
            checkpoint=checkpoint,
            progress=tell,
        )
        _pad(losses, self.recipe.epochs_for(len(inputs)))
        return model

    def claim(self, method: Any) -> None:
        """Make the folder this job's own, or go on in it.

        Raises:
            StoreError: the folder holds another job.
            OutputError: it cannot be written.
        """
        if self.folder is None:
            return
        with seeded("identity"):
            network = tag_of(self._made())  # with its weights: they may be pre-trained
        mine = {
            "method": described(method),
            "recipe": described(self.recipe),
            "seed": self.seed,
            "layers": None if self.layers is None else list(self.layers),
            "labels_sha256": fingerprint(self.labels),
            "records": tag_of(self.inputs),
            "network": network,
        }
        claim(prepare_folder(self.folder) / "job.json", mine)


def claim(path: Path, mine: dict[str, Any]) -> None:
    """Write what a folder is of, or make sure that it is of this.

    Raises:
        StoreError: it is of something else.
        OutputError: it cannot be written.
    """
    if not path.exists():
        write_json(path, mine)
    elif (found := read_json(path)) != mine:
        other = sorted(key for key in mine if not _agrees(found, key, mine[key]))
        raise StoreError(
            f"{path.parent} holds a training with another {' and '.join(other)}: delete it, or "
            "give another folder"
        )


def described(value: Any) -> Any:
    """A setting as a JSON value that is the same in every process."""
    if is_dataclass(value) and not isinstance(value, type):
        inside = {each.name: described(getattr(value, each.name)) for each in fields(value)}
        return {"is": type(value).__name__, **inside}
    if isinstance(value, Tensor):
        return value.tolist()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Sequence):
        return [described(each) for each in value]
    name = getattr(value, "__qualname__", type(value).__qualname__)
    made = "<" in name or (not hasattr(value, "__qualname__") and bool(vars(value)))
    return f"{name} {tag_of(value)}" if made else name


def _agrees(found: Any, key: str, value: Any) -> bool:
    return isinstance(found, dict) and found.get(key) == value


def _noted(checkpoint: Path | None, notes: Path | None) -> Losses:
    """The losses of the epochs behind the checkpoint, as far as they were noted."""
    if checkpoint is None or notes is None or not checkpoint.exists() or not notes.exists():
        return []
    found = read_json(notes)
    if not isinstance(found, list):
        raise StoreError(f"{notes} holds no losses: delete it")
    return found


def _pad(losses: Losses, epochs: int) -> None:
    """Make it the losses of `epochs` epochs, None for those that nobody noted."""
    del losses[epochs:]
    losses += [None] * (epochs - len(losses))
