"""An objective that looks at many records in every step, not at the batch alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor

from sfumato.errors import SettingError
from sfumato.objectives.base import Emission, Objective
from sfumato.objectives.within import class_means

Measure = Callable[..., Tensor]
"""(law of the releases, records, labels, **settings) -> a scalar."""


@final
class OnRecords(Objective):
    """A function of the law of many records, such as a covariance needs.

    In every step the law of up to `records` records of the fit is evaluated, drawn afresh where
    there are more; nothing is released for it. A class alone has too few for a covariance, but
    those of other classes spread much as its own do. So one class c is looked at at a time: the
    deviations of all records from their class means, around the mean of c and under the label c.
    Which, is drawn by the classes' shares, so that the mean over steps is that over records.

    There is no state: a resumed fit ends as an uninterrupted one, because the draws are those of
    its epoch.

    Args:
        measure: `wiener_leak`, for example, called with the law of the releases `[N, ...]`, the
            records `[N, ...]` and their labels `[N]`.
        records: how many records at most.
        classes: at how many classes one step looks, each at the full cost; at all if there are no
            more. 0 for the records as they are, under their own labels, all at once, which is right
            where the label does no more than shift the releases.
        **settings: further arguments of `measure`, JSON values.

    Raises:
        SettingError: fewer than 2 records, or `classes` below 0.
    """

    def __init__(
        self, measure: Measure, records: int = 512, classes: int = 1, **settings: Any
    ) -> None:
        if records < 2:
            raise SettingError(f"records must be at least 2, not {records}")
        if classes < 0:
            raise SettingError(f"classes must be 0 or more, not {classes}")
        self.measure, self.records, self.classes = measure, records, classes
        self.settings = settings
        self._known: tuple[Tensor, Tensor, Tensor] | None = None

    def config(self) -> dict[str, Any]:
        name = getattr(self.measure, "__qualname__", type(self.measure).__qualname__)
        return {
            "measure": name, "records": self.records, "classes": self.classes, **self.settings,
        }  # fmt: skip

    def prepare(self, inputs: Tensor, labels: Tensor, num_classes: int) -> None:
        means = class_means(inputs.flatten(1), labels, num_classes)
        self._known = inputs, labels, means.reshape(-1, *inputs.shape[1:])

    def __call__(self, emission: Emission) -> Tensor:
        if self._known is None:
            self.prepare(emission.inputs, emission.labels, int(emission.labels.max()) + 1)
        assert self._known is not None
        inputs, labels, means = self._known
        looked_at = _shares(labels, self.classes)
        if len(inputs) > self.records:
            chosen = torch.randperm(len(inputs))[: self.records].to(inputs.device)
            inputs, labels = inputs[chosen], labels[chosen]
        if not self.classes:
            return self._measured(emission, inputs, labels)
        deviations = inputs - means[labels]
        values = [
            share * self._measured(emission, deviations + means[c], torch.full_like(labels, c))
            for share, c in looked_at
        ]
        return torch.stack(values).sum()

    def _measured(self, emission: Emission, inputs: Tensor, labels: Tensor) -> Tensor:
        law = emission.mechanism.distribution(inputs, labels)
        return self.measure(law, inputs, labels, **self.settings)


def _shares(labels: Tensor, classes: int) -> list[tuple[float, int]]:
    """Classes to look at, and what each counts: all by their share, or some that are drawn so."""
    counts = torch.bincount(labels)
    present = counts.nonzero().flatten().tolist()
    if classes >= len(present):
        return [(float(counts[c]) / len(labels), c) for c in present]
    if classes == 0:
        return []
    drawn = torch.multinomial(counts.double().cpu(), classes, replacement=True).tolist()
    return [(1 / classes, c) for c in drawn]
