"""The training loop, from the first update to the last."""

from __future__ import annotations

import logging
import time

from trainer import guard
from trainer.ahead import Ahead
from trainer.step import autocast, make_update
from trainer.training import Training
from trainer.updates import Unread, Update
from wm.errors import Preempted

logger = logging.getLogger("wm.trainer")


def train(t: Training, start: int) -> dict[str, float]:
    """Make updates ``start`` to ``config.steps``; returns the held-out metrics at the end.

    Where ``start`` is there already, it makes none and only validates.
    Raises :class:`Preempted` after SIGTERM, with the state saved, and :class:`BadData` before an
    update that is not finite.
    """
    metrics: dict[str, float] = {}
    config, unread = t.config, Unread()
    ahead = Ahead(t.task.batch, t.team.device)
    t.model.train()
    t.meter.begin()
    for step in range(start, config.steps):
        done = step + 1
        last = done == config.steps
        begun = time.perf_counter()
        batch = ahead.take(step, last)
        t.meter.waited(time.perf_counter() - begun)
        unread.add(step, make_update(t, step, batch))

        validating = done % config.validate_every == 0 or last
        saving = done % config.checkpoint_every == 0 or last
        reporting = done % config.log_every == 0 or validating or saving
        if not (reporting or done % sync_every(t) == 0):
            continue
        updates = unread.read()
        for update in updates:
            guard.check(update, t.task, t.checkpoints.spec)
            t.spikes(update)
            t.meter.count(update)
        stop = any(update.stop for update in updates)
        t.progress(done, t.meter.facts(updates[-1].loss))
        if reporting or stop:
            report(t, done, updates[-1])
        if validating:
            metrics = validate(t, done)
        if saving or stop:
            save(t, done)
        if stop and not last:
            t.team.wait()  # until it is saved: a cluster ends all pods with the first that ends
            raise Preempted(
                f"stopped from outside after step {done} of {config.steps}; its state is saved",
                hint="submit again to go on from there",
            )
        if validating or saving:
            t.meter.skip()
    return metrics or validate(t, max(start, config.steps))


def sync_every(t: Training) -> int:
    """Updates after which the host waits for the device; on a CPU there is nothing to wait for."""
    return t.config.sync_every or (1 if t.team.device.type == "cpu" else 10)


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
