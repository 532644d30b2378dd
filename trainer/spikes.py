"""Tells of updates whose loss jumped, with the batch and the command that looks into it.

Nothing here changes the training: a spike is a line of metrics.jsonl and a warning.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

from trainer.metrics import MetricsLog
from trainer.task import Task
from trainer.updates import Update
from wm.stage import StageSpec

logger = logging.getLogger("wm.trainer")

HALF_LIFE = 50
"""Updates after which an observation counts half in the moving mean and variance."""
WARM_UP = 50
"""Updates of this attempt that are only learned from: a scale from fewer would be a guess."""
CLIPPED = 3.0
"""Standard deviations at which an update's share in mean and variance ends. So one spike moves the
mean by less than a twentieth of a deviation, while a loss that stays high becomes normal."""
LEAST = 0.01
"""Smallest standard deviation of log(loss) that is believed: changes of a few percent are none."""


@dataclass(frozen=True, slots=True)
class Spike:
    """An update whose loss is out of the ordinary."""

    update: Update
    z: float
    """Standard deviations of log(loss) above its moving mean."""
    usual: float
    """What the loss was expected to be: the exponential of that mean."""


class SpikeWatch:
    """Compares log(loss) with its exponential moving mean and variance.

    It speaks at the first update of a spike and is quiet until the loss was back within half the
    threshold. A loss that falls is never a spike. It learns anew in each attempt.
    """

    def __init__(self, threshold: float) -> None:
        """``threshold``: z from which an update is a spike; 0 for none ever."""
        self._threshold = threshold
        self._rate = 1 - 0.5 ** (1 / HALF_LIFE)
        self._seen = 0
        self._mean = self._variance = 0.0
        self._within = False  # a spike that was told of

    def observe(self, update: Update) -> Spike | None:
        """Take note of the next update; a :class:`Spike` where one begins with it."""
        if not self._threshold or not math.isfinite(update.loss) or update.loss <= 0:
            return None
        off, deviation = math.log(update.loss) - self._mean, self._deviation
        usual = math.exp(self._mean)
        self._learn(off, deviation)
        if self._seen <= WARM_UP:
            return None
        z = off / deviation
        if self._within:
            self._within = z > self._threshold / 2
            return None
        self._within = z > self._threshold
        return Spike(update, z, usual) if self._within else None

    @property
    def _deviation(self) -> float:
        return max(math.sqrt(self._variance), LEAST)

    def _learn(self, off: float, deviation: float) -> None:
        if self._seen >= WARM_UP:
            off = max(-CLIPPED * deviation, min(off, CLIPPED * deviation))
        self._seen += 1
        # All updates count alike until there are as many as an exponential mean spans.
        rate = max(self._rate, 1 / self._seen)
        # West, "Updating mean and variance estimates", 1979, with a constant weight.
        self._mean += rate * off
        self._variance = (1 - rate) * (self._variance + rate * off * off)


class Spikes:
    """A training's watch: ``spikes(update)`` for every update, in order.

    ``games`` of the line that it writes are those of the leading process's share of the batch;
    ``wmctl replay-step``, one process, shows them all.
    """

    def __init__(
        self, threshold: float, task: Task, log: MetricsLog, spec: StageSpec, speaks: bool
    ) -> None:
        """``speaks``: whether this process is the one that warns."""
        self._watch = SpikeWatch(threshold)
        self._task, self._log, self._spec, self._speaks = task, log, spec, speaks

    def __call__(self, update: Update) -> None:
        """Write a line and a warning where a spike begins with ``update``."""
        spike = self._watch.observe(update)
        if spike is None or not self._speaks:
            return
        self._log.write(
            "spike",
            update.step + 1,  # as in every line: updates made
            loss=update.loss,
            z=round(spike.z, 2),
            usual=round(spike.usual, 4),
            grad_norm=update.norm,
            games=self._task.names(update.step),
        )
        logger.warning(
            "step %d: loss %.4f instead of about %.4f (z %.1f, gradient norm %.3g); its games: %s",
            *(update.step + 1, update.loss, spike.usual, spike.z, update.norm),
            replay_command(self._spec, update.step),
        )


def replay_command(spec: StageSpec | None, number: int) -> str:
    """The command that makes update ``number`` (from 0) again; it counts steps from 1."""
    run, stage = (spec.run, spec.stage) if spec else ("RUN", "STAGE")
    return f"wmctl replay-step {run} {stage} {number + 1}"
