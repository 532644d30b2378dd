"""A training of ours in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from trainer.config import TrainConfig
from trainer.preempt import Stopping
from trainer.reports import ProgressFile
from trainer.setup import assemble, make_repeatable
from trainer.step import make_update
from trainer.team import Team
from trainer.training import Training
from wm.artifacts.dataset import open_dataset
from wm.stage import StageSpec
from wm.store import Store

MAMBA2 = {"kind": "mamba2"}
"""4.3M: width 384, 4 layers, state 64, heads of 64, windows of 10."""
LSTM = {"kind": "lstm", "embed": 384, "hidden": 768, "layers": 4}
"""20M."""


def ready(store: Store, folder: Path, threads: int, **settings: Any) -> Training:
    """A training in this process, before its first update; on the CPU unless ``device`` is set."""
    config = TrainConfig.model_validate(
        {"steps": 10**6, "device": "cpu", "threads": threads, "schedule": "constant", **settings}
    )
    resolved = config.model_dump(mode="json")
    spec = StageSpec(run="here", stage="train", attempt=1, kind="train", config=resolved)
    team = Team(0, 1, torch.device(config.device))
    make_repeatable(config, team)
    data = open_dataset(store, config.data, folder / "cache")
    progress = ProgressFile(folder, config.steps)
    return assemble(store, spec, config, team, data, Stopping(), progress)


class Ours:
    """A training; :meth:`step` is one update as the loop makes it and returns its targets."""

    def __init__(self, training: Training) -> None:
        self.training, self._done = training, 0
        training.model.train()

    def step(self) -> int:
        torch.set_deterministic_debug_mode("error")  # as make_repeatable has it on a CPU
        batch = self.training.task.batch(self._done)
        figures = make_update(self.training, self._done, batch)
        self._done += 1
        torch.set_deterministic_debug_mode("default")  # the prototypes never asked for it
        return int(figures[1])
