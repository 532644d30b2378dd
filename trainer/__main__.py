"""The train stage: starts torchrun, passes signals on, and ends by the exit-code contract.

This process is PID 1 of the trainer's container and never imports torch.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Any

from trainer.config import TrainConfig
from trainer.reports import read_endings, read_progress
from trainer.result import finished, result_of
from wm.errors import Exit, Hang, Preempted, WmError, explain
from wm.stage import StageContext, run_stage
from wm.stage.parent import PARENT

POLL = 0.1
"""Seconds between looks at the workers."""
GRACE = 60
"""Seconds that torchrun gives workers to save their state after SIGTERM."""


def main(ctx: StageContext) -> dict[str, Any]:
    """Train, or find that it has been done."""
    config = ctx.settings(TrainConfig)
    if card := finished(ctx.store, ctx.spec, config):
        ctx.progress(config.steps, config.steps, "steps")
        return result_of(card)
    ctx.progress(0, config.steps, "steps")
    agent = subprocess.Popen(_command(ctx, config), env=_environment(config))
    try:
        _watch(agent, ctx, config)
    finally:
        agent.kill()
        agent.wait()
    return _result(agent.returncode, ctx, config)


def _command(ctx: StageContext, config: TrainConfig) -> list[str]:
    return [
        *(sys.executable, "-m", "trainer.agent", "--standalone"),
        *("--nproc-per-node", str(config.processes)),
        *("-m", "trainer.worker", "--spec", ctx.url, "--scratch", str(ctx.scratch)),
    ]


def _environment(config: TrainConfig) -> dict[str, str]:
    environment = {
        PARENT: str(os.getpid()),
        "OMP_NUM_THREADS": str(config.threads),
        "PYTHONUNBUFFERED": "1",
        "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(GRACE),
    }
    if config.deterministic:
        environment["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    return os.environ | environment


def _watch(agent: subprocess.Popen[bytes], ctx: StageContext, config: TrainConfig) -> None:
    """Until the agent ends: pass progress and the wish to stop on, and end what hangs."""
    stopping, done, moved = False, -1, time.monotonic()
    while agent.poll() is None:
        if ctx.stopping.is_set() and not stopping:
            stopping = True
            agent.send_signal(signal.SIGTERM)
        if progress := read_progress(ctx.scratch):
            ctx.progress(progress.done, progress.total, "steps", **progress.facts)
            if progress.done != done:
                done, moved = progress.done, time.monotonic()
        if time.monotonic() - moved > config.stall_s:
            raise Hang(
                f"no step was finished for {config.stall_s:g} s after step {max(done, 0)}",
                hint="a new attempt goes on from the last checkpoint; raise stall_s if steps, "
                "validations or the download of the data take longer",
            )
        time.sleep(POLL)


def _result(code: int, ctx: StageContext, config: TrainConfig) -> dict[str, Any]:
    """The training's result, or its failure as the workers told it."""
    endings = read_endings(ctx.scratch)
    failed = [ending for ending in endings if ending.code != Exit.OK]
    if len(endings) == config.processes and not failed:
        return next(ending.result for ending in endings if ending.result)
    code = 128 - code if code < 0 else code  # how Popen tells a signal
    if code > 128 and code not in (Exit.PREEMPTED, Exit.HANG, Exit.DEVICE_FAULT):
        raise _error(code, f"a training process was ended by signal {code - 128}", explain(code))
    if failed:
        raise _error(failed[0].code, failed[0].message, failed[0].hint)
    if code == Exit.PREEMPTED:
        raise Preempted("stopped from outside before the first step", hint="submit again")
    raise _error(Exit.BUG, f"torchrun ended with code {code}", explain(Exit.BUG))


def _error(code: int, message: str, hint: str) -> WmError:
    error = WmError(message, hint)
    error.code = code
    return error


if __name__ == "__main__":
    sys.exit(run_stage(main, "train", sys.argv[1:], TrainConfig))
