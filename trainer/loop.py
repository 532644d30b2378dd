"""The training loop, from the first update to the last."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from trainer import guard
from trainer.checkpointing import Checkpoints
from trainer.config import TrainConfig
from trainer.counter import bits
from trainer.gradients import Gradients, Update
from trainer.metrics import Meter, MetricsLog
from trainer.optim import Ema, Optimizer, Schedule
from trainer.preempt import Stopping
from trainer.task import Task
from trainer.team import Team
from wm.errors import Preempted

logger = logging.getLogger("wm.trainer")


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
    meter: Meter = field(default_factory=Meter)

    @property
    def best(self) -> nn.Module:
        """The model that is validated and published: the averaged one, where there is one."""
        return self.ema.model if self.ema else self.model


def train(t: Training, start: int) -> dict[str, float]:
    """Make updates ``start`` to ``config.steps``; returns the held-out metrics at the end.

    Where ``start`` is there already, it makes none and only validates.
    Raises :class:`Preempted` after SIGTERM, with the state saved, and :class:`BadData` before an
    update that is not finite.
    """
    metrics: dict[str, float] = {}
    t.model.train()
    t.meter.begin()
    for step in range(start, t.config.steps):
        update = make_update(t, step)
        done = step + 1
        t.meter.count(update)
        t.progress(done, t.meter.facts(update.loss))

        validating = done % t.config.validate_every == 0 or done == t.config.steps
        saving = done % t.config.checkpoint_every == 0 or done == t.config.steps or update.stop
        if done % t.config.log_every == 0 or validating or saving:
            report(t, done, update)
        if validating:
            metrics = validate(t, done)
        if saving:
            save(t, done)
        if update.stop and done < t.config.steps:
            t.team.wait()  # until it is saved: a cluster ends all pods with the first that ends
            raise Preempted(
                f"stopped from outside after step {done} of {t.config.steps}; its state is saved",
                hint="submit again to go on from there",
            )
        if validating or saving:
            t.meter.skip()
    return metrics or validate(t, max(start, t.config.steps))


def make_update(t: Training, step: int) -> Update:
    """Update number ``step``: a function of the weights, the seed and ``step``."""
    begun = time.perf_counter()
    batch = t.task.batch(step)
    t.meter.waited(time.perf_counter() - begun)

    seed_step(t, step)
    with autocast(t.config, t.team.device):
        loss = t.task.loss(t.model, batch)
    loss.sum.backward()  # type: ignore[no-untyped-call]
    update = t.gradients.combine(loss, stop=t.stopping.asked)
    guard.check(update, step, t.task)
    t.gradients.clip(update, t.config.clip)
    t.optimizer.step(t.schedule.rate(step))
    t.gradients.clear()
    if t.ema:
        t.ema.update(t.model, step)
    return update


def validate(t: Training, done: int) -> dict[str, float]:
    """Held-out metrics after ``done`` updates."""
    begun = time.perf_counter()
    t.best.eval()
    with autocast(t.config, t.team.device):
        metrics = t.task.validate(t.best)
    t.model.train()
    t.schedule.observe(metrics["loss"])
    t.log.write("validate", done, metrics=metrics, seconds=t.meter.spent("validate", begun))
    if t.team.leads:
        figures = ", ".join(f"{name} {value:.4g}" for name, value in list(metrics.items())[:4])
        logger.info("step %d: held out %s", done, figures)
    return metrics


def save(t: Training, done: int) -> None:
    """Publish a checkpoint after ``done`` updates."""
    begun = time.perf_counter()
    t.checkpoints.save(done)
    t.log.write("checkpoint", done, seconds=t.meter.spent("save", begun))


def report(t: Training, done: int, update: Update) -> None:
    """Close a span of steps with a line of metrics and a line for people."""
    span = t.meter.span()
    rate = t.schedule.rate(done - 1)
    t.log.write("train", done, **span, lr=rate, grad_norm=update.norm)
    t.progress(done, t.meter.facts(span["loss"]))
    if t.team.leads:
        logger.info(
            "step %d of %d: loss %.4f, lr %.3g, %s targets/s",
            *(done, t.config.steps, span["loss"], rate, f"{span['targets_per_s']:,.0f}"),
        )


def seed_step(t: Training, step: int) -> None:
    """Seed torch's generators for one step: there is no random state to carry from step to step."""
    torch.manual_seed(int(bits(t.config.seed, "torch", step, t.team.rank)[0] >> 1))


def autocast(config: TrainConfig, device: torch.device) -> AbstractContextManager[Any]:
    """bf16 for activations where it is wanted and the hardware has it."""
    able = device.type == "cuda" and torch.cuda.is_bf16_supported()
    if config.precision == "bf16" or (config.precision == "auto" and able):
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()
