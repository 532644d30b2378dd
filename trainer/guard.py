"""Stops a training before an update that would spoil its weights."""

from __future__ import annotations

import math

from trainer.task import Task
from trainer.updates import Update
from wm.errors import BadData

NAMED = 4
"""Games that the message names; the batch is a function of the step, so all can be had again."""


def check(update: Update, task: Task) -> None:
    """Raise :class:`BadData` where loss or gradient is not finite; the weights are as before."""
    if math.isfinite(update.loss) and math.isfinite(update.norm):
        return
    what = "loss" if not math.isfinite(update.loss) else "gradient norm"
    value = update.loss if what == "loss" else update.norm
    names = task.names(update.step)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    raise BadData(
        f"{what} is {value} at step {update.step}, in a batch with games "
        f"{', '.join(names[:NAMED])}{more}; the update was not made",
        hint="the newest checkpoint is sound; look at these games, or lower lr or set clip",
    )
