"""What the loss would change by, to first order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from sfumato.compression.importance.base import Importance, Normalise
from sfumato.compression.importance.scene import Scene
from sfumato.train import Batch, BatchLoss, cross_entropy


@final
@dataclass(frozen=True)
class Taylor(Importance):
    """Mean over records of |(1/M) Σ over M positions of activation · gradient|.

    Molchanov, Tyree, Karras, Aila, Kautz 2017, "Pruning Convolutional Neural Networks for
    Resource Efficient Inference", eq. 8: to first order, by how much the loss changes when the
    activation becomes zero. Activations are taken where they are read, after ReLU, batch norm or
    pooling; of a neuron that several layers read, the sum over all of them.

    Args:
        loss: the loss that is looked at, on the mean path.
        normalise: how layers are made comparable; the paper's is `"l2"`.
        per_cost: importance for each multiplication saved.
        batch_size: records at a time.
    """

    loss: BatchLoss = cross_entropy
    normalise: Normalise = "l2"
    per_cost: bool = False
    batch_size: int = 256

    def score(self, scene: Scene) -> dict[str, Tensor]:
        """Scores of all neurons, at least 0."""
        totals = {name: torch.zeros(size) for name, size in scene.wiring.sizes.items()}
        index = torch.arange(len(scene.inputs))
        frozen = [p for p in scene.model.parameters() if p.requires_grad]
        for parameter in frozen:  # gradients are wanted of activations alone
            parameter.requires_grad_(False)
        try:
            for rows in index.split(self.batch_size):
                batch = Batch(scene.inputs[rows], scene.labels[rows], rows, 0.0)
                for name, changes in self._changes(scene, batch).items():
                    totals[name] += changes.abs().sum(0).cpu()
        finally:
            for parameter in frozen:
                parameter.requires_grad_(True)
        return {name: total / len(index) for name, total in totals.items()}

    def _changes(self, scene: Scene, batch: Batch) -> dict[str, Tensor]:
        """By group `[B, size]`: activation · gradient, averaged over positions."""
        with scene.reading() as heard, torch.enable_grad():
            # the loss is a mean over records: times B, each record's own gradient
            (self.loss(scene.model, batch) * len(batch.x)).backward()
        products: dict[str, Tensor] = {}
        places: dict[str, Tensor] = {}
        for name, calls in heard.items():
            for x in calls:
                grad = torch.zeros_like(x) if x.grad is None else x.grad  # None: of no part in it
                product = scene.by_position(name, x.detach() * grad)
                products[name] = products.get(name, torch.zeros(())) + product
                each = product.new_full((product.shape[1],), x[0].numel() / product.shape[1])
                places[name] = places.get(name, torch.zeros(())) + each
        sums, counts = scene.by_neuron(products), scene.by_neuron(places)
        return {name: sums[name] / counts[name].clamp(min=1) for name in sums}
