"""Gradients of all processes as one: a flat buffer, one all-reduce, exact at any team size."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainer.task import TaskLoss
from trainer.team import Team


@dataclass(frozen=True, slots=True)
class Update:
    """What every process knows about a batch before anything changes."""

    loss: float
    """Mean over the targets of the whole batch."""
    targets: int
    """In the whole batch."""
    norm: float
    """Of the whole gradient, before clipping."""
    stop: bool
    """Whether any process was told to stop."""


class Gradients:
    """Every parameter's ``grad`` is a view of one buffer, whose last three numbers ride along.

    One all-reduce then adds up gradients, loss, targets and the wish to stop, and the sums are
    divided by the targets of the whole batch. Unlike DDP's buckets, whose layout changes after the
    first step, the order of sums is the same at every step, so a resumed training repeats them bit
    for bit; at these sizes there would be nothing to overlap either.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], team: Team) -> None:
        trained = [p for p in parameters if p.requires_grad]
        self._team = team
        self._size = sum(p.numel() for p in trained)
        self._flat = torch.zeros(self._size + 3, device=team.device)
        start = 0
        for parameter in trained:
            stop = start + parameter.numel()
            parameter.grad = self._flat[start:stop].view_as(parameter)
            start = stop

    def combine(self, loss: TaskLoss, stop: bool) -> Update:
        """Turn this process's sums into the gradient of the whole batch's mean loss."""
        extras: Tensor = self._flat[self._size :]
        extras.copy_(torch.stack((loss.sum.detach(), loss.count, loss.count.new_tensor(stop))))
        self._team.sum(self._flat)
        gradient = self._flat[: self._size]
        gradient /= extras[1].clamp(min=1)
        norm = torch.linalg.vector_norm(gradient)
        total, count, stops, size = torch.cat((extras, norm[None])).tolist()
        return Update(total / max(count, 1), int(count), size, stops > 0)

    def clip(self, update: Update, most: float) -> None:
        """Shorten the gradient to norm ``most``, where it is longer; 0 clips nothing."""
        if most and update.norm > most:
            self._flat[: self._size] *= most / update.norm

    def clear(self) -> None:
        """Make room for the next batch."""
        self._flat.zero_()
