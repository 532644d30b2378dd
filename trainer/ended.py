"""How an attempt ended, from torchrun's exit code and what the training processes left."""

from __future__ import annotations

import time
from typing import Any

from pydantic import ValidationError

from trainer.config import TrainConfig
from trainer.pods import apart, local_processes
from trainer.reports import read_endings, read_progress
from wm.errors import Exit, Hang, Preempted, WmError, explain
from wm.stage import Outcome, StageContext
from wm.stage.memory import OOM_KILLED, OutOfMemory
from wm.stage.spec import member_prefix
from wm.store import NotFound

NEWS = 10.0
"""Seconds that pod 0 waits for another pod to say why it ended."""


def ended(code: int, ctx: StageContext, config: TrainConfig) -> dict[str, Any]:
    """The training's result (nothing in pods other than 0), or its failure in the right words.

    ``code`` is torchrun's, as ``Popen`` gives it.
    """
    endings = read_endings(ctx.scratch)
    failed = [ending for ending in endings if ending.code != Exit.OK]
    if len(endings) == local_processes(config) and not failed:
        return next((ending.result for ending in endings if ending.result), {})
    code = 128 - code if code < 0 else code  # how Popen tells a signal
    if code > 128 and code not in (Exit.PREEMPTED, Exit.HANG, Exit.DEVICE_FAULT):
        raise _error(code, f"a training process was ended by signal {code - 128}", explain(code))
    for ending in failed:
        if not ending.lost:
            raise _error(ending.code, ending.message, ending.hint)
    if apart(config) and (failed or code == Exit.HANG):
        raise _lost(ctx, config)
    if code == Exit.PREEMPTED:
        raise _unsaved(ctx)
    raise _error(Exit.BUG, f"torchrun ended with code {code}", explain(Exit.BUG))


def _lost(ctx: StageContext, config: TrainConfig) -> WmError:
    """Another pod ended first: what it says of itself, as far as it can say anything."""
    deadline = time.monotonic() + NEWS
    while ctx.member == 0 and time.monotonic() < deadline:
        for member in range(1, config.pods):
            outcome = _outcome(ctx, member)
            # Pods that lost each other all end as hung, which explains nothing.
            if outcome and outcome.code not in (Exit.OK, Exit.HANG):
                message = f"pod {member}: {outcome.message}"
                if outcome.reason == OOM_KILLED:
                    return OutOfMemory(message, outcome.hint)
                return _error(outcome.code, message, outcome.hint)
        time.sleep(0.5)
    return Hang(
        "another pod of this training is gone",
        hint="what ended it stands in `wmctl status`; a new attempt goes on from the last "
        "checkpoint",
    )


def _outcome(ctx: StageContext, member: int) -> Outcome | None:
    try:
        data = ctx.store.get(f"{member_prefix(ctx.spec.prefix, member)}/outcome.json")
        return Outcome.model_validate_json(data)
    except (NotFound, ValidationError):
        return None


def _unsaved(ctx: StageContext) -> WmError:
    progress = read_progress(ctx.scratch)
    if progress is None or not progress.done:
        return Preempted("stopped from outside before the first step", hint="submit again")
    return Preempted(
        f"stopped from outside after step {progress.done} of {progress.total}, without the time "
        "to save its state",
        hint="a new attempt goes on from the last checkpoint; give the pods a longer grace period",
    )


def _error(code: int, message: str, hint: str) -> WmError:
    error = WmError(message, hint)
    error.code = code
    return error
