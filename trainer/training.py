"""Everything that a training works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from trainer.capture import CapturedStep
from trainer.checkpointing import Checkpoints
from trainer.config import TrainConfig
from trainer.gradients import Gradients
from trainer.inputs import StepInputs
from trainer.metrics import Meter, MetricsLog
from trainer.optim import Ema, Optimizer, Schedule
from trainer.parts import Parts
from trainer.preempt import Stopping
from trainer.task import Task, TaskLoss
from trainer.team import Team
from trainer.updates import Update


@dataclass
class Training:
    """Everything that a training works with."""

    config: TrainConfig
    team: Team
    task: Task
    model: nn.Module
    gradients: Gradients
    optimizer: Optimizer
    schedule: Schedule
    ema: Ema | None
    checkpoints: Checkpoints
    log: MetricsLog
    stopping: Stopping
    progress: Callable[[int, dict[str, Any]], None]
    """Told the updates done, and figures for people, as often as one likes."""
    loss: Callable[[Any], TaskLoss]
    """The task's loss of a batch, compiled where that is wanted."""
    parts: Parts
    spikes: Callable[[Update], None]
    """Told every update that is read; speaks where a loss jumps."""
    inputs: StepInputs
    """What changes from step to step besides the batch."""
    captured: CapturedStep | None = None
    """A whole step as one CUDA graph, where that is wanted."""
    meter: Meter = field(default_factory=Meter)

    @property
    def best(self) -> nn.Module:
        """The model that is validated and published: the averaged one, where there is one."""
        return self.ema.model if self.ema else self.model
