"""Gradients of all processes as one: a flat buffer, one all-reduce, exact at any team size."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from trainer.team import Team


class Gradients:
    """Every parameter's ``grad`` is a view of one buffer, whose last three numbers ride along.

    One all-reduce then adds up gradients, loss, targets and the wish to stop, and the sums are
    divided by the targets of the whole batch. Unlike DDP's buckets, whose layout changes after the
    first step, the order of sums is the same at every step, so a resumed training repeats them bit
    for bit; at these sizes there would be nothing to overlap either.

    Nothing here makes the host wait for the device.
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

    def combine(self, loss: Tensor, count: Tensor, stop: Tensor) -> Tensor:
        """Turn this process's sums into the gradient of the whole batch's mean loss.

        ``stop`` is 1 where this process was told to stop, else 0. Returns float [4] on the device,
        as :class:`trainer.updates.Unread` reads it: sum of the loss, targets, processes that were
        told to stop, and norm of the whole gradient.
        """
        extras: Tensor = self._flat[self._size :]
        extras.copy_(torch.stack((loss.detach(), count, stop)))
        self._team.sum(self._flat)
        gradient = self._flat[: self._size]
        gradient /= extras[1].clamp(min=1)
        return torch.cat((extras, torch.linalg.vector_norm(gradient)[None]))

    def clip(self, norm: Tensor, most: float) -> None:
        """Shorten the gradient of that norm to ``most``, where it is longer; 0 clips nothing."""
        if most:
            self._flat[: self._size] *= (most / norm).clamp(max=1)

    def clear(self) -> None:
        """Make room for the next batch."""
        self._flat.zero_()
