"""Stops a training before an update that would spoil its weights."""

from __future__ import annotations

import math

from trainer.gradients import Update
from trainer.task import Task
from wm.errors import BadData

NAMED = 4
"""Games that the message names; the batch is a function of the step, so all can be had again."""


def check(update: Update, step: int, task: Task) -> None:
    """Raise :class:`BadData` where loss or gradient is not finite; nothing has been changed yet."""
    if math.isfinite(update.loss) and math.isfinite(update.norm):
        return
    what = "loss" if not math.isfinite(update.loss) else "gradient norm"
    value = update.loss if what == "loss" else update.norm
    names = task.names(step)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    raise BadData(
        f"{what} is {value} at step {step}, in a batch with games "
        f"{', '.join(names[:NAMED])}{more}; the update was not made",
        hint="the newest checkpoint is sound; look at these games, or lower lr or set clip",
    )
