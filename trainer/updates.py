"""What the host learns of updates, and when: reading a figure makes it wait for the device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Update:
    """One update of the weights, as every process knows it."""

    step: int
    """Its number, from 0."""
    loss: float
    """Mean over the targets of the whole batch."""
    targets: int
    """In the whole batch."""
    norm: float
    """Of the whole gradient, before clipping."""
    stop: bool
    """Whether any process was told to stop."""


class Unread:
    """Figures of updates that have been asked of the device and not been read yet."""

    def __init__(self) -> None:
        self._steps: list[int] = []
        self._figures: list[Tensor] = []

    def add(self, step: int, figures: Tensor) -> None:
        """Note the float [4] that :meth:`trainer.gradients.Gradients.combine` gave."""
        self._steps.append(step)
        self._figures.append(figures)

    def read(self) -> list[Update]:
        """All of them, oldest first; the host waits once for the device."""
        rows = torch.stack(self._figures).tolist()
        updates = [
            Update(step, loss / max(count, 1), int(count), norm, stops > 0)
            for step, (loss, count, stops, norm) in zip(self._steps, rows, strict=True)
        ]
        self._steps, self._figures = [], []
        return updates
