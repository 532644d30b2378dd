"""What the loop asks of a game: batches, a loss, and held-out figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class TaskLoss:
    """Sums over this process's part of a batch; the loss of a batch is the quotient over all."""

    sum: Tensor
    """Scalar with a gradient."""
    count: Tensor
    """Targets, scalar."""


class Task(Protocol):
    """One game's side of a training."""

    @property
    def games(self) -> int:
        """Train games in use, over all processes."""
        ...

    @property
    def units(self) -> int:
        """Held-out games that :meth:`validate` looks at, over all processes."""
        ...

    def prepare(self, model: nn.Module) -> None:
        """Fit what a new model takes from the data before its first update."""
        ...

    def batch(self, step: int) -> Any:
        """This process's part of batch ``step``, on the device; a function of ``step`` alone."""
        ...

    def loss(self, model: nn.Module, batch: Any) -> TaskLoss:
        """What to minimise."""
        ...

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Held-out figures by name, "loss" among them; every process gets the same."""
        ...

    def names(self, step: int) -> list[str]:
        """Identities of the games in this process's part of batch ``step``."""
        ...


def compiled_loss(task: Task, model: nn.Module) -> Callable[[Any], TaskLoss]:
    """The loss of a batch as one compiled graph; what cannot be traced whole is an error."""

    def sums(batch: Any) -> tuple[Tensor, Tensor]:
        loss = task.loss(model, batch)
        return loss.sum, loss.count

    compiled = torch.compile(sums, fullgraph=True)
    return lambda batch: TaskLoss(*compiled(batch))
