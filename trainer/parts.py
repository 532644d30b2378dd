"""A batch in as many parts as the device has room for, one after the other.

The gradient is the sum over the parts, so the batch, the order and the number of updates stay what
they are; only the order of sums changes, and with it the last bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from trainer.batch import split, tensors
from trainer.task import TaskLoss


class Parts:
    """How many parts a process's share of a batch is worked through in."""

    def __init__(self, count: int) -> None:
        self.count = count

    def backward(
        self, batch: Any, loss: Callable[[Any], TaskLoss], again: Callable[[int], None]
    ) -> tuple[Tensor, Tensor]:
        """Add the gradient of a batch's loss to the parameters' ``grad``; loss and targets, summed.

        Where the device runs out of memory the parts are halved and ``again``, told their new
        number, has to clear the gradients and seed the generators as before the first try.
        Raises :class:`torch.OutOfMemoryError` where a single item is too large.
        """
        while True:
            try:
                return self._pass(batch, loss)
            except torch.OutOfMemoryError:
                size = len(next(tensors(batch)))
                if self.count >= size:
                    raise
                self.count = min(2 * self.count, size)
            # Not before here: the error's frames hold what the failed try had made.
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            again(self.count)

    def _pass(self, batch: Any, loss: Callable[[Any], TaskLoss]) -> tuple[Tensor, Tensor]:
        sums, counts = [], []
        for part in split(batch, self.count):
            found = loss(part)
            found.sum.backward()  # type: ignore[no-untyped-call]
            sums.append(found.sum.detach())
            counts.append(found.count)
        return torch.stack(sums).sum(), torch.stack(counts).sum()
