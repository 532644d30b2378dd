"""The processes that train together."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from trainer.pods import first_here, leads
from wm.models.device import find_device


@dataclass(frozen=True, slots=True)
class Team:
    """This process among its peers; a team of one works the same way."""

    rank: int
    world: int
    device: torch.device
    leads: bool = True
    """Whether this process writes to the store and speaks."""
    first_here: bool = True
    """Whether this process does what is done once in a pod."""

    def sum(self, tensor: Tensor) -> Tensor:
        """Add up ``tensor`` over all processes, in place."""
        if self.world > 1:
            dist.all_reduce(tensor)
        return tensor

    def wait(self) -> None:
        """Until every process is here."""
        if self.world > 1:
            dist.barrier()


def join_team(device: str, patience: float) -> Team:
    """Meet the other processes that torchrun started; ``device`` is auto, cpu or cuda.

    ``patience`` is how long one waits for another, in seconds. Raises :class:`wm.errors.BadConfig`
    where this process has no GPU of its own.
    """
    rank, local = int(os.environ["RANK"]), int(os.environ["LOCAL_RANK"])
    place = find_device(device, local)
    cuda = place.type == "cuda"
    if cuda:
        torch.cuda.set_device(place)
    dist.init_process_group(
        "nccl" if cuda else "gloo",
        timeout=timedelta(seconds=patience),
        device_id=place if cuda else None,
    )
    return Team(rank, int(os.environ["WORLD_SIZE"]), place, leads(), first_here())


def leave_team() -> None:
    """Say goodbye, where there was a meeting."""
    if dist.is_initialized():
        dist.destroy_process_group()
