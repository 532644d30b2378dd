"""Weights & Biases, by its own package, which sends from a process of its own."""

from __future__ import annotations

import importlib
import os
import re
from pathlib import Path
from typing import Any

from trainer.config import TrainConfig
from trainer.writers.aside import Point
from wm.stage import StageSpec

KEY = "WANDB_API_KEY"
"""Environment variable with the key; it is read by their package alone."""
MODE = "WANDB_MODE"
"""Environment variable: online or offline. Without it: online if there is a key."""
FOLDERS = ("WANDB_CACHE_DIR", "WANDB_DATA_DIR")
"""Environment variables: where the package keeps what is its own."""


class WandB:
    """A :class:`trainer.writers.aside.Writer` of one W&B run.

    All attempts of a stage share its id, so that they continue one curve. Offline the run's file
    stays for ``wandb sync``.
    """

    def __init__(self, folder: Path, *, spec: StageSpec, config: TrainConfig, project: str) -> None:
        self._wandb: Any = importlib.import_module("wandb")
        for name in FOLDERS:  # the home folder of a pod cannot be written
            os.environ.setdefault(name, str(folder.parent / "wandb-own"))
        mode = os.environ.get(MODE) or ("online" if os.environ.get(KEY) else "offline")
        self._run = self._wandb.init(
            project=project,
            id=run_id(spec),
            name=f"{spec.run} {spec.stage}",
            group=spec.run,
            config=config.model_dump(mode="json"),
            mode=mode,
            resume="allow" if mode == "online" else None,
            dir=str(folder.parent),  # it adds a folder "wandb", which is ours
            settings=self._wandb.Settings(
                console="off", silent=True, disable_code=True, disable_git=True
            ),
        )

    def write(self, point: Point) -> None:
        """As in :class:`trainer.writers.aside.Writer`."""
        self._run.log(point.figures, step=point.step)

    def flush(self) -> None:
        """Nothing to do: their process writes and sends as it can."""

    def close(self, failed: bool) -> None:
        """As in :class:`trainer.writers.aside.Writer`."""
        self._run.finish(exit_code=int(failed))
        self._wandb.teardown()  # waits for their process, which closes the run's file only now


def run_id(spec: StageSpec) -> str:
    """The W&B run of a stage: equal for all its attempts, in letters that W&B takes."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", f"{spec.run}-{spec.stage}")
