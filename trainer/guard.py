"""Stops a training before an update that would spoil its weights."""

from __future__ import annotations

import math

from trainer.spikes import replay_command
from trainer.task import Task
from trainer.updates import Update
from wm.errors import BadData
from wm.stage import StageSpec

NAMED = 4
"""Games that the message names; the batch is a function of the step, so all can be had again."""


def check(update: Update, task: Task, spec: StageSpec | None = None) -> None:
    """Raise :class:`BadData` where loss or gradient is not finite; the weights are as before.

    Like every line for people it calls the first update step 1.
    """
    if math.isfinite(update.loss) and math.isfinite(update.norm):
        return
    what = "loss" if not math.isfinite(update.loss) else "gradient norm"
    value = update.loss if what == "loss" else update.norm
    names = task.names(update.step)
    again = replay_command(spec, update.step)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    raise BadData(
        f"{what} is {value} at step {update.step + 1}, in a batch with games "
        f"{', '.join(names[:NAMED])}{more}; the update was not made",
        hint=f"the newest checkpoint is sound; `{again}` shows the loss of each game; "
        "else lower lr or set clip",
    )
