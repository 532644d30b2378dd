"""TensorBoard and Weights & Biases: optional, beside ``metrics.jsonl``, never in the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from trainer.config import TrainConfig
from trainer.writers.aside import Aside, Point, Writer
from trainer.writers.tensorboard import TensorBoard
from trainer.writers.wandb import WandB
from wm.stage import StageSpec
from wm.store import Store

PATIENCE = 10.0
"""Seconds that the end of a training waits for the last figures to be written and sent."""
PATIENCE_FAILED = 3.0
"""The same where the training failed or was stopped: a platform grants little time after SIGTERM.
"""


class Writers:
    """All writers of one training."""

    def __init__(self, asides: Sequence[Aside] = ()) -> None:
        self._asides = asides

    def start(self) -> None:
        """Begin all of them."""
        for aside in self._asides:
            aside.start()

    def write(self, line: Mapping[str, Any]) -> None:
        """Pass on a line of ``metrics.jsonl``."""
        if self._asides and (figures := figures_of(line)):
            for aside in self._asides:
                aside.write(Point(line["step"], line["time"], figures))

    def publish(self) -> None:
        """Have all files copied to the store."""
        for aside in self._asides:
            aside.publish()

    def close(self, failed: bool) -> None:
        """End all of them at once; returns when they are done or time is up."""
        until = time.monotonic() + (PATIENCE_FAILED if failed else PATIENCE)
        for aside in self._asides:
            aside.finish(failed)
        for aside in self._asides:
            aside.wait(until)


def make_writers(
    store: Store, spec: StageSpec, config: TrainConfig, name: str, scratch: Path
) -> Writers:
    """Those that the settings name, for a model called ``name``."""
    makers: dict[str, tuple[Callable[[Path], Writer], str]] = {
        "tensorboard": (TensorBoard, "*tfevents*"),
        "wandb": (partial(WandB, spec=spec, config=config, project=name), "*.wandb"),
    }
    return Writers(
        [
            Aside(
                kind,
                makers[kind][0],
                folder=scratch / "writers" / kind,
                pattern=makers[kind][1],
                store=store,
                key=f"{spec.prefix}/{kind}",
            )
            for kind in dict.fromkeys(config.writers)
        ]
    )


def figures_of(line: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a line by ``event/name``, those in its mappings (``metrics``) too."""
    event = line["event"]
    figures: dict[str, float] = {}
    for name, value in line.items():
        inner = value if isinstance(value, Mapping) else {name: value}
        figures |= {
            f"{event}/{key}": float(number)
            for key, number in inner.items()
            if isinstance(number, int | float) and key not in ("time", "step")
        }
    return figures
