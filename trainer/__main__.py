"""The train stage: starts torchrun, passes signals on, and ends by the exit-code contract.

This process is PID 1 of the trainer's container and never imports torch.
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below, which take a second
    from trainer.started import note_start
    from wm.early import end_on_signal

    end_on_signal()
    note_start()

import logging
import math
import os
import signal
import subprocess
import sys
import time
from typing import Any

from trainer.config import TrainConfig
from trainer.ended import ended
from trainer.pods import apart, torchrun_options
from trainer.reports import read_progress
from trainer.result import finished, result_of
from wm.errors import Hang, Preempted
from wm.stage import StageContext, run_stage
from wm.stage.parent import PARENT

logger = logging.getLogger("wm.trainer")

POLL = 0.1
"""Seconds between looks at the workers."""
GRACE = "WM_GRACE"
"""Environment variable: seconds from SIGTERM to SIGKILL that the platform grants; 60 if not set."""
LAST_WORDS = 15
"""Seconds of them that are kept for the outcome."""


def main(ctx: StageContext) -> dict[str, Any]:
    """Train, or find that it has been done."""
    config = ctx.settings(TrainConfig)
    if card := finished(ctx.store, ctx.spec, config):
        ctx.progress(config.steps, config.steps, "steps")
        return result_of(card)
    ctx.progress(0, config.steps, "steps")
    if ctx.member:
        logger.info("pod %d of %d; pod 0 has the training's log", ctx.member, config.pods)
    agent = subprocess.Popen(_command(ctx, config), env=_environment(config))
    try:
        _watch(agent, ctx, config)
    finally:
        agent.kill()
        agent.wait()
    return ended(agent.returncode, ctx, config)


def _command(ctx: StageContext, config: TrainConfig) -> list[str]:
    return [
        *(sys.executable, "-m", "trainer.agent", "--log-dir", str(ctx.scratch / "torchrun")),
        *torchrun_options(config, ctx.spec.prefix.replace("/", ".")),
        *("-m", "trainer.worker", "--spec", ctx.url, "--scratch", str(ctx.scratch)),
    ]


def _environment(config: TrainConfig) -> dict[str, str]:
    return os.environ | {
        PARENT: str(os.getpid()),
        "OMP_NUM_THREADS": str(config.threads),
        "PYTHONUNBUFFERED": "1",
        "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(_time_to_save()),
        "TORCH_CPP_LOG_LEVEL": os.environ.get("TORCH_CPP_LOG_LEVEL", "ERROR"),
    }


def _time_to_save() -> int:
    """Seconds that torchrun gives the workers after SIGTERM before it kills them."""
    return max(5, int(os.environ.get(GRACE, "60")) - LAST_WORDS)


def _watch(agent: subprocess.Popen[bytes], ctx: StageContext, config: TrainConfig) -> None:
    """Until the agent ends: pass progress and the wish to stop on, and end what hangs."""
    asked, done, moved = math.inf, -1, time.monotonic()
    while agent.poll() is None:
        now = time.monotonic()
        if ctx.stopping.is_set() and now < asked:
            asked = now
            agent.send_signal(signal.SIGTERM)
        if progress := read_progress(ctx.scratch):
            ctx.progress(progress.done, progress.total, "steps", **progress.facts)
            if progress.done != done:
                done, moved = progress.done, now
        # A resumed attempt, too, says 0 until it has finished a step of its own.
        if now - moved > (config.stall_s if done > 0 else config.first_step_s):
            raise _hang(done, config)
        if now - asked > _time_to_save() + LAST_WORDS / 3:
            raise Preempted(
                "stopped from outside, and torchrun did not end in time",
                hint="a new attempt goes on from the last checkpoint",
            )
        time.sleep(POLL)


def _hang(done: int, config: TrainConfig) -> Hang:
    if done < 0 and apart(config):
        return Hang(
            f"the other pods of this training did not come within {config.first_step_s:g} s",
            hint="`wmctl status` shows what they wait for; raise first_step_s if nodes take longer "
            "to come up",
        )
    if done <= 0:
        return Hang(
            f"the attempt's first step was not finished within {config.first_step_s:g} s",
            hint="a new attempt tries again; raise first_step_s if the download of the data or "
            "the compilation of kernels takes longer",
        )
    return Hang(
        f"no step was finished for {config.stall_s:g} s after step {done}",
        hint="a new attempt goes on from the last checkpoint; raise stall_s if steps or "
        "validations take longer",
    )


if __name__ == "__main__":
    sys.exit(run_stage(main, "train", sys.argv[1:], TrainConfig))
