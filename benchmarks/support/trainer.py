"""A training of ours, in this process or as the stage that it is in production."""

from __future__ import annotations

import subprocess
import sys
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
from wm.stage import Outcome, StageSpec
from wm.store import Store, open_store

MAMBA2 = {"kind": "mamba2"}
"""4.3M: width 384, 4 layers, state 64, heads of 64, windows of 10."""
LSTM = {"kind": "lstm", "embed": 384, "hidden": 768, "layers": 4}
"""20M."""


def ready(store: Store, folder: Path, threads: int, **settings: Any) -> Training:
    """A training in this process, before its first update, on the CPU."""
    config = TrainConfig.model_validate(
        {"steps": 10**6, "device": "cpu", "threads": threads, "schedule": "constant", **settings}
    )
    spec = _spec("here", config)
    team = Team(0, 1, torch.device("cpu"))
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


def begin(store: Store, run: str, **settings: Any) -> tuple[StageSpec, subprocess.Popen[bytes]]:
    """The stage as a process of its own."""
    config = TrainConfig.model_validate({"device": "cpu", **settings})
    spec = _spec(run, config)
    store.put(f"{spec.prefix}/spec.json", spec.model_dump_json().encode())
    command = [sys.executable, "-m", "trainer", "--spec", f"{store.url}/{spec.prefix}/spec.json"]
    return spec, subprocess.Popen(command, stdout=subprocess.DEVNULL)


def outcome(store: Store, spec: StageSpec, process: subprocess.Popen[bytes]) -> Outcome:
    """How it ended; a failure ends the benchmark."""
    if process.wait():
        sys.exit(open_store(store.url).get(f"{spec.prefix}/outcome.json").decode())
    return Outcome.model_validate_json(store.get(f"{spec.prefix}/outcome.json"))


def _spec(run: str, config: TrainConfig) -> StageSpec:
    resolved = config.model_dump(mode="json")
    return StageSpec(run=run, stage="train", attempt=1, kind="train", config=resolved)
