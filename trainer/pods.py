"""Several pods that train together: where they meet, and which one speaks for all.

On one machine all pods' processes run there, under one torchrun. On a cluster every pod runs a
torchrun of its own; they meet where the elastic PyTorchJob says (``PET_RDZV_ENDPOINT``).
"""

from __future__ import annotations

import math
import os

from trainer.config import TrainConfig
from wm.errors import BadConfig
from wm.stage.context import MEMBER, member_index

MEETING = "PET_RDZV_ENDPOINT"
"""Host and port of the first pod; torchrun itself reads it, and PET_RDZV_BACKEND."""


def apart(config: TrainConfig) -> bool:
    """Whether this training's processes are in several pods."""
    return config.pods > 1 and MEMBER in os.environ


def local_processes(config: TrainConfig) -> int:
    """Training processes of this pod, or of this machine."""
    return config.processes if apart(config) else config.pods * config.processes


def leads() -> bool:
    """Whether this training process writes to the store and speaks for all.

    It is in pod 0, whichever rank the rendezvous gives it: that pod's outcome is the attempt's.
    """
    return member_index() == 0 and first_here()


def first_here() -> bool:
    """Whether this training process is the one that does what is done once in a pod."""
    return os.environ["LOCAL_RANK"] == "0"


def torchrun_options(config: TrainConfig, name: str) -> list[str]:
    """How torchrun gathers the processes of the attempt called ``name``."""
    count = ["--nproc-per-node", str(local_processes(config)), "--max-restarts", "0"]
    if not apart(config):
        return ["--standalone", "--nnodes", "1", *count]
    if MEETING not in os.environ:
        raise BadConfig(
            f"{config.pods} pods are to train together, but {MEETING} does not say where they meet",
            hint="start them as workers of one PyTorchJob with an elasticPolicy",
        )
    # torchrun must not give up before the parent, who says why: hence twice the time.
    patience = math.ceil(2 * config.first_step_s)
    waits = f"join_timeout={patience},read_timeout={patience}"
    return ["--nnodes", str(config.pods), *count, "--rdzv-id", name, "--rdzv-conf", waits]
